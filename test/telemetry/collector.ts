import { createServer } from 'node:http';

// A process of its own that takes OTLP over HTTP with JSON (POST /v1/traces and /v1/metrics), and what else is sent to it, and writes
// each body as one line: the path, a space, the JSON. Says its port first. Ends with whoever started it.

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString('utf8');
    process.stdout.write(`${request.url} ${body.replaceAll('\n', '\\n')}\n`);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
});
process.stdin.on('end', () => process.exit()).resume();
