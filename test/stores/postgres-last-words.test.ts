import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { Pool } from 'pg';
import { describe, expect, test } from 'vitest';
import { openPostgres } from '../../src/stores/postgres.ts';

/** A message of PostgreSQL's protocol, version 3. */
function protocolMessage(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** A server that ends just when it has let somebody in: both are in one packet. */
async function dyingServer() {
  let connections = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      connections++;
      socket.end(
        Buffer.concat([
          protocolMessage('R', Buffer.alloc(4)),
          protocolMessage('Z', Buffer.from('I')),
          protocolMessage(
            'E',
            Buffer.from('SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'),
          ),
        ]),
      );
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `postgres://owner:secret@127.0.0.1:${(server.address() as AddressInfo).port}/test`,
    connections: () => connections,
    close: () => server.close(),
  };
}

describe('A PostgreSQL that ends right after a login', () => {
  const failure = {
    code: 'ERR_STORE',
    message: expect.stringContaining('the connection to the database failed') as string,
  };

  test('is an error of the call, and does not end the process', async () => {
    const server = await dyingServer();
    await using store = openPostgres(server.url);
    await expect(store.session('a').getItems()).rejects.toMatchObject(failure);
    expect(server.connections()).toBeGreaterThan(0);
    server.close();
  });

  test('is an error of the call with a password that changes', async () => {
    const server = await dyingServer();
    const options = { password: () => 'secret' };
    await using store = openPostgres(server.url.replace(':secret', ''), options);
    await expect(store.session('a').getItems()).rejects.toMatchObject(failure);
    expect(server.connections()).toBeGreaterThan(0);
    server.close();
  });

  test("is an error of the call on an application's pool, which gets no more listeners with more stores", async () => {
    const server = await dyingServer();
    const pool = new Pool({ connectionString: server.url });
    pool.on('error', () => undefined);
    const listeners: number[] = [];
    for (let round = 0; round < 3; round++) {
      await using store = openPostgres({ pool });
      await expect(store.session('a').getItems()).rejects.toMatchObject(failure);
      listeners.push(pool.listenerCount('connect'));
    }
    expect(server.connections()).toBeGreaterThan(0);
    expect(new Set(listeners).size).toBe(1);
    await pool.end();
    server.close();
  });
});
