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
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const wanted = line.split(' ')[1];
    const all = await client.selectInstances(wanted, undefined, undefined, true, false);
    say({ found: all.map((one) => ({ host: one.ip, port: one.port, metadata: one.metadata })) });
  }
  await client.deregisterInstance(name, instance);
  process.exit(0);
};

main().catch((error) => {
  log(error);
  process.exit(1);
});
