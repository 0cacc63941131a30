// A plane of a VAE's latent space: a point on it is a picture, and a picture has a place on it.

import { call, command, factsOf, newest, steady, tell } from "./api.js";

const SIDE = 15;
const [X, Y] = [0, 1];

// The number below which a share of N(0, 1) lies, by bisection of its distribution function.
function quantile(share) {
  let low = -6, high = 6;
  while (high - low > 1e-4) {
    const middle = (low + high) / 2;
    if (below(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// The share of N(0, 1) below z: Abramowitz and Stegun 26.2.17, right to 7.5e-8.
function below(z) {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail = 0.3989422804 * Math.exp((-z * z) / 2) *
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z > 0 ? 1 - tail : tail;
}

// The fewer numbers a latent has, the more of them a plane shows.
export async function ordered(choices) {
  const sizes = await Promise.all(
    choices.map(async (model) => [model, (await factsOf(model.name, "generate")).latent_size]),
  );
  return sizes.sort((a, b) => a[1] - b[1]).map(([model]) => model);
}

export function start(section, model) {
  const get = (id) => section.querySelector(`#${id}`);
  const pad = get("pad"), across = get("across"), down = get("down"), paper = get("paper");
  const ink = paper.getContext("2d");
  const whole = newest(section), walking = newest(section), placing = newest(section);
  let known = Promise.resolve(false), origin, picture, encoded;

  function at(x, y) {
    const latent = [...origin];
    [latent[X], latent[Y]] = [quantile(x), quantile(y)];
    return latent.map((number) => Number(number.toFixed(3)));
  }

  function mark() {
    get("point").style.left = `${across.value}%`;
    get("point").style.top = `${down.value}%`;
    for (const slider of [across, down]) {
      slider.setAttribute("aria-valuetext", quantile(slider.value / 100).toFixed(2));
    }
  }

  const walk = steady(() =>
    walking(async (signal) => {
      if (!origin) return; // another model was chosen, and nothing is known of it yet
      const json = { model: model(), latents: [at(across.value / 100, down.value / 100)] };
      const decoding = command("v1/generate", { json, accept: "image/png", output: "picture.png" });
      tell(section, encoded, decoding);
      const blob = await (await call("v1/generate", { body: json, accept: "image/png", signal })).blob();
      if (signal.aborted) return;
      URL.revokeObjectURL(picture);
      get("walked").src = picture = URL.createObjectURL(blob);
    }),
  );

  function move() {
    mark();
    return walk();
  }

  // Whoever moves the point has done with what was being drawn.
  function moved() {
    placing();
    move();
  }

  function follow(event) {
    const box = pad.getBoundingClientRect();
    across.value = (100 * (event.clientX - box.left)) / box.width;
    down.value = (100 * (event.clientY - box.top)) / box.height;
    moved();
  }

  // The plane through the origin, or through a drawing where a latent has more numbers than the plane shows.
  function backdrop() {
    return whole(async (signal) => {
      const quantiles = [...Array(SIDE).keys()].map((place) => (place + 0.5) / SIDE);
      const plane = origin.some(Boolean)
        ? { latents: quantiles.flatMap((y) => quantiles.map((x) => at(x, y))) }
        : { lattice: { size: SIDE, x: X, y: Y } };
      const body = { model: model(), ...plane };
      const sheet = await (await call("v1/generate", { body, accept: "image/png", signal })).blob();
      if (signal.aborted) return;
      URL.revokeObjectURL(get("lattice").src);
      get("lattice").src = URL.createObjectURL(sheet);
    });
  }

  function place() {
    return placing(async (signal) => {
      if (!(await known) || signal.aborted) return;
      const blob = await new Promise((done) => paper.toBlob(done, "image/png"));
      const path = `v1/encode?${new URLSearchParams({ model: model(), reconstruct: "true", invert: "false" })}`;
      const { encodings } = await (await call(path, { body: blob, signal })).json();
      if (signal.aborted) return;
      encoded = command(path, { file: "drawing.png", type: "image/png" });
      get("save").href = paper.toDataURL("image/png");
      get("save").hidden = false;
      const { mean, anomaly } = encodings[0];
      origin = mean.map((number, axis) => (axis === X || axis === Y ? 0 : number));
      across.value = 100 * below(mean[X]);
      down.value = 100 * below(mean[Y]);
      const odd = anomaly === undefined || anomaly === null ? "" :
        ` It looks odder than ${Math.round(100 * anomaly)} % of those the model is used to.`;
      get("oddness").textContent = `Your drawing has its place.${odd}`;
      if (origin.length > 2) backdrop();
      move();
    });
  }

  function wipe() {
    placing();
    ink.fillStyle = "#000";
    ink.fillRect(0, 0, paper.width, paper.height);
    get("oddness").textContent = "Draw here.";
    get("save").hidden = true;
    encoded = undefined;
    if (origin?.some(Boolean)) {
      origin = origin.map(() => 0);
      backdrop();
      move();
    }
  }

  let last;
  function stroke(event) {
    const box = paper.getBoundingClientRect();
    const to = [
      ((event.clientX - box.left) * paper.width) / box.width,
      ((event.clientY - box.top) * paper.height) / box.height,
    ];
    ink.strokeStyle = "#fff";
    ink.lineWidth = 18;
    ink.lineCap = ink.lineJoin = "round";
    ink.beginPath();
    ink.moveTo(...(last ?? to));
    ink.lineTo(...to);
    ink.stroke();
    last = to;
  }

  // Whether the border is: dark ink on white paper. The paper here is black.
  function light({ data, width, height }) {
    const border = [...Array(width * height).keys()].filter(
      (place) => place < width || place >= width * (height - 1) || place % width === 0 || place % width === width - 1,
    );
    const sum = border.reduce((total, place) => total + data[4 * place] + data[4 * place + 1] + data[4 * place + 2], 0);
    return sum / border.length > 3 * 127;
  }

  function turnOver(box) {
    ink.globalCompositeOperation = "difference";
    ink.fillStyle = "#fff";
    ink.fillRect(...box);
    ink.globalCompositeOperation = "source-over";
  }

  // A picture from a file, for who cannot draw here.
  async function load(file) {
    if (!file) return;
    const bitmap = await createImageBitmap(file).catch(() => undefined);
    if (!bitmap) return (get("oddness").textContent = `${file.name} is no picture that this browser reads.`);
    wipe();
    const scale = Math.min(paper.width / bitmap.width, paper.height / bitmap.height);
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    const box = [Math.floor((paper.width - width) / 2), Math.floor((paper.height - height) / 2), width, height];
    ink.drawImage(bitmap, ...box);
    if (light(ink.getImageData(...box))) turnOver(box);
    await place();
  }

  function dragged(target, act, done) {
    target.addEventListener("pointerdown", (event) => {
      target.setPointerCapture(event.pointerId);
      act(event);
    });
    target.addEventListener("pointermove", (event) => target.hasPointerCapture(event.pointerId) && act(event));
    target.addEventListener("lostpointercapture", () => done?.());
  }

  dragged(pad, follow);
  dragged(paper, stroke, () => {
    last = undefined;
    place();
  });
  across.addEventListener("input", moved);
  down.addEventListener("input", moved);
  get("wipe").addEventListener("click", wipe);
  get("sketch").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = ""; // the same one may be chosen again
    return load(file);
  });

  async function renew() {
    origin = undefined; // it is of another model
    walking();
    wipe();
    known = whole(async (signal) => {
      const { latent_size } = await factsOf(model(), "generate", signal);
      if (!signal.aborted) origin = new Array(latent_size).fill(0);
    });
    if (await known) await Promise.all([backdrop(), move()]);
  }
  return renew;
}
