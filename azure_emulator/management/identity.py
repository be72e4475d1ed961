"""Azure's identity service: the tenant's OpenID configuration, and tokens for the one service principal."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import get_emulator, json_response


async def _configuration(request: Request) -> Response:
    tenant = f"https://{addresses.IDENTITY_HOST}/{request.path_params['tenant']}"
    return json_response(
        {
            "issuer": f"{tenant}/v2.0",
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
            "jwks_uri": f"{tenant}/discovery/v2.0/keys",
            "tenant_region_scope": "EU",
        }
    )


async def _instances(_: Request) -> Response:
    """Return the host names of the identity service, which clients ask for after a refusal."""
    host = addresses.IDENTITY_HOST
    cloud = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
    endpoint = f"https://{host}/common/v2.0/.well-known/openid-configuration"
    return json_response({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [cloud]})


async def _token(request: Request) -> Response:
    form = dict(parse_qsl((await request.body()).decode()))
    if form.get("client_id") != addresses.CLIENT:
        return _refused(
            "unauthorized_client", f"AADSTS700016: Application with identifier '{form.get('client_id')}' was not found."
        )
    tokens = get_emulator(request).tokens
    if not hmac.compare_digest(str(form.get("client_secret", "")).encode(), tokens.password.encode()):
        return _refused(
            "invalid_client", f"AADSTS7000215: Invalid client secret provided for app '{addresses.CLIENT}'."
        )
    audience = str(form.get("scope") or form.get("resource") or "")
    return json_response(
        {
            "token_type": "Bearer",
            "expires_in": 3599,
            "ext_expires_in": 3599,
            "access_token": tokens.token(audience.removesuffix("/.default")),
        }
    )


def _refused(error: str, description: str) -> Response:
    return json_response(
        {
            "error": error,
            "error_description": description,
            "error_codes": [int(description[6:].split(":", maxsplit=1)[0])],
        },
        401,
    )


routes = [
    Route("/common/discovery/instance", _instances),
    Route("/{tenant}/v2.0/.well-known/openid-configuration", _configuration),
    Route("/{tenant}/oauth2/v2.0/token", _token, methods=["POST"]),
]
