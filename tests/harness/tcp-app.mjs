// A TCP application on PORT that speaks first and takes lines:
//   echo TEXT   sends TEXT back
//   give N      sends N bytes
//   bye         ends its own half; what still comes is counted, and written to stdout with its end: "after bye: N"
//   reset       resets the connection
//   take        counts what comes until the other half ends, answers "took N SHA256" and ends
import { createHash } from 'node:crypto';
import net from 'node:net';

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  let line = '';
  let hash;
  let taken = 0;
  let saidBye = false;
  socket.on('error', () => {});
  socket.write(`220 ${process.env.NAME} ready\r\n`);
  const command = (text) => {
    const [verb, argument = ''] = text.split(' ');
    if (verb === 'echo') socket.write(`${argument}\n`);
    else if (verb === 'give') socket.write(Buffer.alloc(Number(argument), 'g'));
    else if (verb === 'reset') socket.resetAndDestroy();
    else if (verb === 'take') hash = createHash('sha256');
    else if (verb === 'bye') {
      saidBye = true;
      hash = createHash('sha256');
      socket.end('bye\n');
    }
  };
  socket.on('data', (chunk) => {
    let rest = chunk;
    while (hash === undefined && rest.length > 0) {
      const end = rest.indexOf('\n');
      line += rest.subarray(0, end < 0 ? rest.length : end).toString('latin1');
      rest = end < 0 ? Buffer.alloc(0) : rest.subarray(end + 1);
      if (end < 0) return;
      command(line);
      line = '';
    }
    hash?.update(rest);
    taken += rest.length;
  });
  socket.on('end', () => {
    if (saidBye) console.log(`after bye: ${taken}`);
    else socket.end(hash === undefined ? '' : `took ${taken} ${hash.digest('hex')}\n`);
  });
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
