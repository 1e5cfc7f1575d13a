"""The seam to Faust: a transport that brings our consumer and producer."""

from __future__ import annotations

from faust.transport.drivers import aiokafka as driver

from streams.engine.consumer import Consumer
from streams.engine.producer import Producer


class Transport(driver.Transport):
    Consumer = Consumer
    Producer = Producer
