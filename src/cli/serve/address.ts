import { BlockList, isIP } from 'node:net';
import { CommandError } from '../exit-codes.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * The address to listen on. A name is refused: its address is the decision of a name server.
 *
 * @throws {@link CommandError} `USAGE` for an address that is not loopback unless it is allowed.
 */
export function parseHost(host: string, allowsRemote: boolean): string {
  const address = host === 'localhost' ? '127.0.0.1' : host;
  const version = isIP(address);
  if (version === 0) {
    throw new CommandError('USAGE', 'serve: --host must be an IP address, or localhost.');
  }
  if (loopback.check(address, version === 4 ? 'ipv4' : 'ipv6')) return address;
  if (!allowsRemote) {
    throw new CommandError(
      'USAGE',
      `serve: ${address} is not a loopback address: everyone who reaches it could read along, because the viewer has no TLS. ` +
        'Leave out --host and forward the port (ssh -L), or add --allow-remote.',
    );
  }
  if (['0.0.0.0', '::'].includes(address)) {
    throw new CommandError(
      'USAGE',
      'serve: --host must be one address: the viewer answers only requests that name it. Give the address that people use.',
    );
  }
  return address;
}

/** The origin of a server at this address. */
export function originAt(address: string, port: number): string {
  return `http://${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
}

/** @throws {@link CommandError} `USAGE`. */
export function parsePort(port: string): number {
  const number = Number(port);
  if (/^\d{1,5}$/.test(port) && number <= 65_535) return number;
  throw new CommandError('USAGE', 'serve: --port must be a number from 0 (any free port) to 65535.');
}
