"""What schemathesis sends to the hub, and what it holds the answers against.

The description allows any address of a registry, and the hub connects to what it is told: here it
is told nothing but a closed port of this machine. Waiting times are cut, so that the time of a run
goes into requests.

Two of schemathesis' own checks are replaced. It takes every 5xx for a fault; the hub says 503, with
the seconds to wait, where it does not know yet. And it takes every schema-valid request that is
refused for a fault; some rules a schema cannot say.
"""

import os
import re

import schemathesis

# Nobody listens on the discard port, and a refused connection costs nothing.
CLOSED = "127.0.0.1:9"
# What the hub takes for a host: such an address is replaced, any other it refuses.
PLAUSIBLE = re.compile(r"[^\s/?#@\[\]\"\\\x00-\x1f\x7f-\x9f]")
# The token of the run: with it revoked everything else would be 401.
OWN_TOKEN = os.environ.get("HUB_TOKEN_ID", "")

# Rules that a JSON schema cannot say, by what the hub says of them.
UNSAID = [
    r"is another one in the query",  # groupName of the query against that of the body
    r"must be (a )?JSON",  # fields that take JSON as text
    r"must be an? (object|array)",  # ... of a certain kind
    r"must be a duration|is not a duration|is too long|must be at most \d+[hms]|must be more than nothing",
    r"must be at most \d+ (bytes|characters)",  # bytes, where a schema counts characters
    r"must be 1 to \d+ (printable bytes|characters)",
    r"must have tags of|must have at most|must be at most \d+ bytes in keys and values",
    r"must not contain the character U\+0000",  # anywhere in free JSON
    r"says something else",  # metadata and metadataJson
    r"is required with strategy",  # CONSISTENT_HASH without a key
    r"must be an IP address or a host name",  # filter `host`, labels over 63
    r"is for lists, not for select",
    r"needs (failoverConfigId|specificConfig)",
    r"specificConfig|fieldMapping",  # the keys depend on the kind of registry
    r"must be host or host:port",
    r"is the name of the hub's own registry",
    r"must be 1 to 100 characters of text",  # blanks are no name
    r"must name one group here",  # `*`
    r"part of what the thing is|register the (other )?instance|must be the tenant of the request",
    r"stored secrets must be sent again",
    r"must match",  # names of groups in a token
    r"must name another configuration|names no configuration of this tenant",
    r"must be one of CONSUL",  # SYSTEM is a kind, and no external one
    r"no adapter for",
    r"must be text/event-stream",  # `Accept` is no parameter to a description
    r"endTime must be after startTime",
    r"must be the number the status shows",  # whole numbers have an end
    r"must be a path beginning with /, or an http",  # healthCheckUrl
    r"must be the name of (an|one) active configuration",  # what a migration is from and to
    r"must be another one than from|must lead to each group once|goes with a serviceName",
    r"must have 1 to 100 characters, and no space at its ends|must be printable|must have no empty pattern",
    r"\bgroupMap$",  # names of groups, in bytes
    r"must be keep or remove: there are",  # copies
    r"level must be one of",  # levels of parts of the hub, in one line of text
]


def tame(value):
    """Changes what is valid into what is harmless; what is invalid stays so."""
    if not isinstance(value, dict):
        return value
    address = value.get("serverAddress")
    if isinstance(address, str) and address and all(PLAUSIBLE.search(p) for p in address.split(",")):
        value["serverAddress"] = CLOSED
    for field in ("connectionTimeout", "readTimeout"):
        number = value.get(field)
        if isinstance(number, (int, float)) and not isinstance(number, bool) and 300 < number <= 600_000:
            value[field] = 300
    for field, number in value.items():
        # A schema takes 61.0 for a whole number; the hub wants it written as one.
        if isinstance(number, float) and number.is_integer():
            value[field] = int(number)
    for item in value.get("instances", []) if isinstance(value.get("instances"), list) else []:
        tame(item)
    tame(value.get("gates"))
    return value


@schemathesis.hook
def before_call(ctx, case, kwargs):
    tame(case.body)
    if case.query and "index" in case.query:
        case.query["wait"] = "1ms"


@schemathesis.hook
def filter_case(ctx, case):
    revokes = case.method == "DELETE" and case.operation.path.endswith("/tokens/{tokenId}")
    return not (revokes and (case.path_parameters or {}).get("tokenId") == OWN_TOKEN)


@schemathesis.check
def fails_only_for_now(ctx, response, case):
    """No 5xx but a 503 that says when to come again."""
    if response.status_code >= 500:
        assert response.status_code == 503, f"the hub failed: {response.status_code}"
        assert "retry-after" in response.headers, "503 without Retry-After"


@schemathesis.check
def refuses_only_for_a_rule(ctx, response, case):
    """What the description allows is refused only for a rule that it cannot say."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code not in (400, 422):
        return
    error = response.json()
    text = f"{error.get('error', '')} {(error.get('details') or {}).get('field', '')}"
    assert any(re.search(rule, text) for rule in UNSAID), f"refused, though described: {text}"
