"""GET /metrics: what Prometheus asks for."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from service.api import call, schema
from service.media.negotiation import OPENMETRICS, TEXT

router = APIRouter()
ENCODERS: dict[str, tuple[Callable[[Collector], bytes], str]] = {
    TEXT: (generate_latest, CONTENT_TYPE_PLAIN_0_0_4),
    OPENMETRICS: (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}


@router.get("/metrics", **schema.metrics())
async def metrics(request: Request) -> Response:
    """Counters, histograms and gauges of the service, of all its processes together.

    In Prometheus' text format; in OpenMetrics for who prefers that.
    """
    encode, kind = ENCODERS[call.accepts(request, list(ENCODERS))[0]]
    call.no_query(request)
    service = call.state(request)
    service.measure()
    return Response(await asyncio.to_thread(encode, service.metrics), headers={"Content-Type": kind})
