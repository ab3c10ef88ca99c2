"""Loads each dashboard into Grafana's own model of one, and checks that nothing is lost on the way.

What Grafana does not know it drops without a word when a dashboard is imported: a field that does
not come back is a mistake.

    dashboards.py RULES DASHBOARD...      writes its queries to RULES, for promtool to check
"""

import json
import sys

import grafana_foundation_sdk.cog.plugins as plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(ours, theirs, path=""):
    """Where theirs lacks or changes what ours says."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key not in theirs:
                yield f"{path}/{key}"
            else:
                yield from lost(value, theirs[key], f"{path}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs)):
            yield from lost(one, other, f"{path}/{index}")
    elif ours != theirs:
        yield path


def overlapping(panels):
    """Panels that lie on one another, which Grafana moves apart as it likes."""
    taken = {}
    for panel in panels:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if x >= 24 or taken.setdefault((x, y), panel["id"]) != panel["id"]:
                    yield f"panel {panel['id']} ({panel['title']}) at {x},{y}"


def queries(value):
    """What it asks Prometheus, with numbers where Grafana would put them."""
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"].replace("$__rate_interval", "5m")
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from queries(item)


plugins.register_default_plugins()
wrong, rules = [], []
for name in sys.argv[2:]:
    with open(name, encoding="utf-8") as file:
        dashboard = json.load(file)
    model = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    wrong += [f"{name}: unknown to Grafana: {path}" for path in lost(dashboard, model)]
    wrong += [f"{name}: {what}" for what in overlapping(dashboard["panels"])]
    rules += [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(queries(dashboard))]
    print(f"{name}: {len(dashboard['panels'])} panels")
with open(sys.argv[1], "w", encoding="utf-8") as file:
    # JSON is YAML.
    json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
if wrong:
    sys.exit("\n".join(wrong))
