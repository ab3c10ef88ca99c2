"""A client of Nacos 1.x by nacos-sdk-python; see README.md."""

import json
import os
import sys

import nacos
from nacos.listener import SubscribeListener


def say(**answer):
    print(json.dumps(answer), flush=True)


def main():
    server, name, host, port = sys.argv[1:]
    client = nacos.NacosClient(server, namespace="")
    client.add_naming_instance(
        name,
        host,
        int(port),
        metadata={"by": "python", "preserved.heart.beat.timeout": "3000"},
        heartbeat_interval=1,
    )
    said, seen = {"by": "python", "preserved.heart.beat.timeout": "3000"}, {}

    def listed(wanted):
        answer = client.list_naming_instance(wanted, healthy_only=True)
        return [
            {"host": one["ip"], "port": one["port"], "metadata": one["metadata"]}
            for one in answer["hosts"]
        ]

    def told(wanted):
        # The library tells of one instance after the other.
        return SubscribeListener(lambda event, instance: seen.update({wanted: listed(wanted)}), wanted)

    def modify(enable=True):
        client.modify_naming_instance(name, host, int(port), metadata=said, weight=1.0, enable=enable)

    say(ready=True)
    for line in sys.stdin:
        word, value = line.split()
        if word == "find":
            say(found=listed(value))
        elif word == "watch":
            client.subscribe(told(value), 1, value)
            say(watching=value)
        elif word == "seen":
            say(seen=seen.get(value))
        elif word == "change":
            said["said"] = value
            modify()
            say(changed=True)
        elif word == "status":
            modify(enable=value == "up")
            say(status=value)
    client.remove_naming_instance(name, host, int(port))
    # Its threads go on.
    os._exit(0)


main()
