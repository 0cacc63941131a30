// The four calls by a generated client; the arguments are the service's address and a picture in base64.
import { client } from "./client/client.gen";
import { denoise, encode, generate, models, recommend } from "./client/sdk.gen";
import type { DenoiseAnswer, EncodeAnswer, GenerateAnswer, ProblemAnswer } from "./client/types.gen";

declare const process: { argv: string[] };

async function main(address: string, picture: string) {
  client.setConfig({ baseUrl: address });
  const list = await recommend({ body: { users: [{ liked: ["260"] }], count: 3 }, throwOnError: true });
  const clean = await denoise({ body: { images: [picture], strength: 25 }, throwOnError: true });
  const latents = await encode({ body: { images: [picture] }, throwOnError: true });
  const headers = { Accept: "application/json" };
  const drawn = await generate({ body: { seed: 7, count: 2 }, headers, throwOnError: true });
  const wrong = await recommend({ body: { users: [{ liked: ["260"] }], model: "nowhere" } });
  const there = await models({ throwOnError: true });
  const found = {
    items: list.data.users[0]!.items.map(({ item }) => item),
    noise: (clean.data as DenoiseAnswer).images[0]!.noise_level,
    numbers: (latents.data as EncodeAnswer).encodings[0]!.mean.length,
    pictures: (drawn.data as GenerateAnswer).images.length,
    refusal: (wrong.error as ProblemAnswer).type,
    models: (there.data as { models: unknown[] }).models.length,
  };
  console.log(JSON.stringify(found));
}

main(process.argv[2]!, process.argv[3]!);
