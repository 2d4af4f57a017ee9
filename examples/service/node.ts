/** The service on Node: `node --env-file=service.env examples/service/node.ts`. SIGTERM ends it after its runs. */
import { once } from 'node:events';
import { serve } from '@hono/node-server';
import { retention } from 'strongroom/retention';
import { createApp } from './app.ts';
import { fromEnvironment } from './settings.ts';

const { service, store } = fromEnvironment();
// Hidden items are deleted each hour, by one of all processes, without a key.
const rules = retention(store, { expired: true });
rules.start();

const server = serve(
  { fetch: createApp(service).fetch, port: Number(process.env['PORT'] ?? 3_000), hostname: '127.0.0.1' },
  ({ port }) => console.log(JSON.stringify({ listening: port })),
);

/** After the last run: for callers that take their answers, and that have sent a part of a request, which is refused then. */
const GRACE_SECONDS = 5;

async function shutDown(): Promise<void> {
  const closed = once(server, 'close');
  // No new connection; those of callers end with the answer that they wait for.
  server.close();
  if ('keepAliveTimeout' in server) server.keepAliveTimeout = 1;
  await service.runs.finish();
  // The end of a request can be missing for minutes. Every run is stored by now.
  const cut = setTimeout(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
  }, GRACE_SECONDS * 1_000);
  await closed;
  clearTimeout(cut);
  await rules.stop();
  await service.conversations.flush();
  await store.close();
  console.log(JSON.stringify({ ended: true }));
  // Idle connections to a model provider would keep the process alive.
  process.exit();
}

let ending: Promise<void> | undefined;
// Not `once`: the SDK's own listener ends the process in the middle of runs when no other listener is left.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void (ending ??= shutDown()));
