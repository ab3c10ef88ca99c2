// A client of Consul by the npm package `consul`; see README.md.
'use strict';

const readline = require('readline');
const Consul = require('consul');

const [server, name, host, port] = process.argv.slice(2);
const [at, number] = server.split(':');
const client = new Consul({ host: at, port: Number(number) });
const service = `${name}-${port}`;
const further = `further-${service}`;
const check = { id: `service:${service}` };
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

let status = 'passing';
const tell = async () => {
  await client.agent.check.pass({ id: further });
  await (status === 'passing' ? client.agent.check.pass(check) : client.agent.check.fail(check));
};

const entries = (all) =>
  all.map(({ Service: one }) => ({ host: one.Address, port: one.Port, metadata: one.Meta }));
const find = async (wanted) => say({ found: entries(await client.health.service({ service: wanted, passing: true })) });
// The library's own watch, until it has told twice.
const watch = (wanted) =>
  new Promise((resolve, reject) => {
    let told = 0;
    const watching = client.watch({
      method: client.health.service,
      options: { service: wanted, passing: true, wait: '30s' },
    });
    watching.on('change', (all) => {
      say({ found: entries(all) });
      told += 1;
      if (told === 2) {
        watching.end();
        resolve();
      }
    });
    watching.on('error', reject);
  });

const main = async () => {
  const meta = { by: 'javascript', a_b: '1 < 2' };
  const register = () =>
    client.agent.service.register({
      name,
      id: service,
      address: host,
      port: Number(port),
      tags: ['javascript'],
      meta,
      check: { ttl: '3s' },
    });
  await register();
  await client.agent.check.register({ id: further, name: 'further', serviceid: service, ttl: '3s' });
  await tell();
  const renewing = setInterval(() => tell().catch((error) => console.error(error)), 1000);
  say({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [word, argument] = line.split(' ');
    if (word === 'find') {
      await find(argument);
    } else if (word === 'watch') {
      await watch(argument);
    } else if (word === 'change') {
      meta.said = argument;
      await register();
      say({ changed: true });
    } else if (word === 'status') {
      status = argument;
      await tell();
      say({ status });
    }
  }
  clearInterval(renewing);
  await client.agent.check.deregister(further);
  await client.agent.service.deregister(service);
  process.exit(0);
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
