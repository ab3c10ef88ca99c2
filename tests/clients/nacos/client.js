// A client of Nacos 1.x by the npm package `nacos`; see README.md.
'use strict';

const readline = require('readline');
const { NacosNamingClient } = require('nacos');

const [server, name, host, port] = process.argv.slice(2);
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
// What it logs is for people.
const log = (...words) => console.error(...words);
const logger = { debug() {}, info() {}, warn: log, error: log };

const main = async () => {
  const client = new NacosNamingClient({ logger, serverList: server, namespace: 'public' });
  await client.ready();
  const instance = {
    ip: host,
    port: Number(port),
    // Its first heartbeat is ten seconds away: it has the usual lease of fifteen.
    metadata: { by: 'javascript' },
  };
  await client.registerInstance(name, instance);
  say({ ready: true });
  const listed = (all) => all.map((one) => ({ host: one.ip, port: one.port, metadata: one.metadata }));
  const seen = {};
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [word, value] = line.split(' ');
    if (word === 'find') {
      const all = await client.selectInstances(value, undefined, undefined, true, false);
      say({ found: listed(all) });
    } else if (word === 'watch') {
      client.subscribe(value, (all) => {
        seen[value] = listed(all);
      });
      say({ watching: value });
    } else if (word === 'seen') {
      say({ seen: seen[value] });
    } else if (word === 'change') {
      // It has no other way to change what it is than to register again.
      instance.metadata.said = value;
      await client.registerInstance(name, instance);
      say({ changed: true });
    } else if (word === 'status') {
      instance.enabled = value === 'up';
      await client.registerInstance(name, instance);
      say({ status: value });
    }
  }
  await client.deregisterInstance(name, instance);
  process.exit(0);
};

main().catch((error) => {
  log(error);
  process.exit(1);
});
