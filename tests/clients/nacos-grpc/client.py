"""A client of Nacos 2.x and 3.x by nacos-sdk-python; see README.md."""

import asyncio
import json
import sys
import tempfile

from v2.nacos import (
    ClientConfigBuilder,
    DeregisterInstanceParam,
    ListInstanceParam,
    NacosNamingService,
    RegisterInstanceParam,
    SubscribeServiceParam,
)


def say(**answer):
    print(json.dumps(answer), flush=True)


def listed(instances):
    return [{"host": one.ip, "port": one.port, "metadata": one.metadata} for one in instances]


async def main(folder):
    server, name, host, port = sys.argv[1:]
    address = {"service_name": name, "ip": host, "port": int(port)}
    metadata = {"by": "python"}
    builder = ClientConfigBuilder().server_address(server).cache_dir(folder).log_dir(folder)
    config = builder.load_cache_at_start(False).build().set_update_cache_when_empty(True)
    client = await NacosNamingService.create_naming_service(config)
    await client.register_instance(RegisterInstanceParam(**address, metadata=metadata))
    say(ready=True)
    seen = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        word, value = line.split()
        if word == "find":
            wanted = ListInstanceParam(service_name=value, healthy_only=True)
            say(found=listed(await client.list_instances(wanted)))
        elif word == "watch":

            async def told(instances, of=value):
                seen[of] = listed(instances)

            await client.subscribe(
                SubscribeServiceParam(service_name=value, subscribe_callback=told)
            )
            say(watching=value)
        elif word == "seen":
            say(seen=seen.get(value))
        elif word == "change":
            metadata["said"] = value
            await client.update_instance(RegisterInstanceParam(**address, metadata=metadata))
            say(changed=True)
        elif word == "status":
            self = RegisterInstanceParam(**address, metadata=metadata, enabled=value == "up")
            await client.update_instance(self)
            say(status=value)
    await client.deregister_instance(DeregisterInstanceParam(**address))
    await client.shutdown()


with tempfile.TemporaryDirectory() as scratch:
    asyncio.run(main(scratch))
