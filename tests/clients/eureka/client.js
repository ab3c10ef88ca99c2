// A client of Eureka by eureka-js-client; see README.md.
'use strict';

const readline = require('readline');
const { Eureka } = require('eureka-js-client');

const [url, name, host, port] = process.argv.slice(2);
const server = new URL(url);
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
// What it logs is for people.
const log = (...words) => console.error(...words);

const client = new Eureka({
  logger: { debug() {}, info: log, warn: log, error: log },
  instance: {
    app: name,
    instanceId: `${host}:${name}:${port}`,
    hostName: host,
    ipAddr: host,
    port: { $: Number(port), '@enabled': 'true' },
    vipAddress: name,
    dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
    leaseInfo: { renewalIntervalInSecs: 1, durationInSecs: 6 },
    metadata: { by: 'javascript', a_b: '1 < 2' },
  },
  eureka: {
    host: server.hostname,
    port: Number(server.port),
    servicePath: `${server.pathname}/apps/`,
    heartbeatInterval: 1000,
    registryFetchInterval: 1000,
    maxRetries: 3,
  },
});

const find = (wanted) =>
  client.getInstancesByVipAddress(wanted)
    .filter((one) => one.status === 'UP')
    .map((one) => ({ host: one.ipAddr, port: one.port.$, metadata: one.metadata }));

client.start((error) => {
  if (error) {
    log(error);
    process.exit(1);
  }
  say({ ready: true });
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [word, argument] = line.split(' ');
    if (word === 'find') {
      say({ found: find(argument) });
    } else if (word === 'change') {
      client.config.instance.metadata.said = argument;
      client.register((error) => say({ changed: !error }));
    }
  });
  lines.on('close', () => client.stop(() => process.exit(0)));
});
