"""The HTTP door: `create_app` makes the WSGI application.

``api/`` holds the operations of ``/v1`` and the probes, ``pages/`` what people see; ``contract`` describes and
enforces each operation, ``body`` is the only reader of request bodies, ``problems`` the only writer of errors.
"""

from signsvc.web.app import create_app
from signsvc.web.config import WebConfig

__all__ = ["WebConfig", "create_app"]
