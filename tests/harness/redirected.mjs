// In a network namespace of its own: redirects connections of the client 127.0.0.9 to the proxy that `argv` starts, and prints who answers where.
//   node redirected.mjs PROXY_PORT TRANSPARENT_PORT BOUND_ELSEWHERE_PORT OTHER_PORT APPLICATION_PORT -- PROGRAM ARGS...
import { execFileSync, spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';

const separator = process.argv.indexOf('--');
const [proxyPort, transparentPort, ...redirected] = process.argv.slice(2, separator).map(Number);
const applicationPort = redirected.at(-1);
const [program, ...args] = process.argv.slice(separator + 1);

execFileSync('ip', ['link', 'set', 'lo', 'up']);
for (const port of redirected) {
  const rule = `-t nat -A OUTPUT -s 127.0.0.9 -p tcp --dport ${port} -j REDIRECT --to-ports ${proxyPort}`;
  execFileSync('iptables', rule.split(' '), { stdio: 'ignore' });
}
// To any address of that net, as a router between would do it: the connection keeps both of its addresses (TPROXY).
for (const command of [
  'ip route add 10.9.9.0/24 dev lo',
  'ip rule add fwmark 1 lookup 100',
  'ip route add local 0.0.0.0/0 dev lo table 100',
  'iptables -t mangle -A OUTPUT -p tcp -d 10.9.9.0/24 -j MARK --set-mark 1',
  `iptables -t mangle -A PREROUTING -p tcp -d 10.9.9.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port ${transparentPort} --tproxy-mark 1/1`,
]) {
  const [program, ...args] = command.split(' ');
  execFileSync(program, args, { stdio: 'ignore' });
}
const application = http.createServer((_request, response) => response.end('application')).listen(applicationPort, '127.0.0.1');
const proxy = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
let log = '';
proxy.stderr.on('data', (chunk) => {
  log += chunk;
});

function ask(port, host = '127.0.0.1') {
  return new Promise((resolve) => {
    const request = http.get({ host, port, localAddress: '127.0.0.9', agent: false, timeout: 5_000 }, async (response) => {
      let body = '';
      for await (const chunk of response) body += chunk;
      resolve(`${body} ${response.headers['x-local'] ?? ''}`.trim());
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', (error) => resolve(error.code ?? error.message));
  });
}

const untilMs = Date.now() + 15_000;
for (;;) {
  const open = await new Promise((resolve) => {
    const socket = net.connect(proxyPort, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
  if (open) break;
  if (Date.now() > untilMs) throw new Error(`the proxy does not listen: ${log}`);
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const answers = [];
for (const port of [proxyPort, ...redirected]) answers.push(await ask(port));
answers.push(await ask(8080, '10.9.9.9'));
proxy.kill('SIGKILL');
application.close();
console.log(JSON.stringify(answers));
