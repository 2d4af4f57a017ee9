import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A network between a store and its server, which does what networks do. */
export interface Proxy {
  /** The URL of the server, through the proxy. */
  readonly url: string;
  /** How many connections were made so far. */
  connections: number;
  /** How many the store holds open, also those whose end nobody would tell the server. */
  open(): number;
  /** Milliseconds that every chunk is under way, in both directions. 0 at first. */
  latency: number;
  /** Nothing arrives any more on the connections that exist, and nobody is told. Later ones are let through. */
  silence(): void;
  /** As {@link Proxy.silence}, but later connections are silent too, until {@link Proxy.resume}. */
  hang(): void;
  resume(): void;
  /** Cuts all connections. */
  cut(): void;
  /** As {@link Proxy.silence}, when the next `count`th chunk to the server was delivered, and for its connection alone. */
  silenceAfter(count: number): void;
  /** Cuts the connection that carries the next `count`th chunk to the server, after the chunk was delivered. */
  cutAfter(count: number): void;
  /** Connections from now on lead to another server; those that exist lead where they led. */
  pointTo(target: string): void;
  /** Connections are refused, as if no server listened. Those that exist stay. */
  refuse(): void;
  /** The opposite of {@link Proxy.refuse}. */
  accept(): Promise<void>;
  close(): Promise<void>;
}

/** One connection: a socket on each side. */
interface Link {
  readonly sockets: readonly [Socket, Socket];
  silent: boolean;
}

export async function startProxy(target: string): Promise<Proxy> {
  let { hostname, port } = new URL(target);
  const links = new Set<Link>();
  let hanging = false;
  let countdown = 0;
  let until: 'cut' | 'silence' = 'cut';

  function cut(link: Link): void {
    for (const socket of link.sockets) socket.destroy();
    links.delete(link);
  }

  function pipe(link: Link, from: Socket, to: Socket, toServer: boolean): void {
    from.on('data', (chunk: Buffer) => {
      if (link.silent) return;
      const last = toServer && countdown > 0 && --countdown === 0;
      setTimeout(() => {
        if (link.silent || to.destroyed) return;
        to.write(chunk);
        // The server gets what was sent, and its answer finds nobody.
        if (last && until === 'cut') to.end(() => cut(link));
        if (last && until === 'silence') link.silent = true;
      }, proxy.latency);
    });
    from.on('close', () => {
      if (!link.silent) cut(link);
    });
    from.on('error', () => undefined);
  }

  const server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port) });
    const link: Link = { sockets: [client, upstream], silent: hanging };
    links.add(link);
    proxy.connections++;
    pipe(link, client, upstream, true);
    pipe(link, upstream, client, false);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);

  const silence = (): void => {
    for (const link of links) link.silent = true;
  };
  const proxy: Proxy = {
    url: url.href,
    connections: 0,
    open: () => [...links].filter(({ sockets: [client] }) => !client.destroyed).length,
    latency: 0,
    silence,
    hang() {
      hanging = true;
      silence();
    },
    resume() {
      hanging = false;
    },
    cut: () => links.forEach(cut),
    silenceAfter(count) {
      countdown = count;
      until = 'silence';
    },
    cutAfter(count) {
      countdown = count;
      until = 'cut';
    },
    pointTo(next) {
      ({ hostname, port } = new URL(next));
    },
    refuse() {
      // Not awaited: it waits for the connections that stay.
      server.close();
    },
    async accept() {
      server.listen(Number(url.port), '127.0.0.1');
      await once(server, 'listening');
    },
    async close() {
      links.forEach(cut);
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
