import { BlockList, isIP } from 'node:net';
import { CommandError } from '../exit-codes.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Addresses at which a server answers at every address of the machine, in the form that {@link canonical} gives. */
const EVERY_ADDRESS = ['0.0.0.0', '::', '::ffff:0:0'];

/** Browsers refuse these ports of HTTP, because other protocols use them ("bad port" of the Fetch standard). */
const BAD_PORTS: ReadonlySet<number> = new Set([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
  109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
  526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
  3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

/**
 * The address to listen on. A name is refused: its address is the decision of a name server.
 *
 * @returns The address in the form in which a browser writes it.
 * @throws {@link CommandError} `USAGE` for an address that is not loopback unless it is allowed.
 */
export function parseHost(host: string, allowsRemote: boolean): string {
  const given = host === 'localhost' ? '127.0.0.1' : host;
  const version = isIP(given);
  if (version === 0) {
    throw new CommandError('USAGE', 'serve: --host must be an IP address, or localhost.');
  }
  if (given.includes('%')) {
    throw new CommandError(
      'USAGE',
      `serve: the address ${given} has a zone, which no link of a browser can have. Give an address without "%".`,
    );
  }
  const address = canonical(given);
  if (loopback.check(address, version === 4 ? 'ipv4' : 'ipv6')) return address;
  if (!allowsRemote) {
    throw new CommandError(
      'USAGE',
      `serve: ${address} is not a loopback address: everyone who reaches it could read along, because the viewer has no TLS. ` +
        'Leave out --host and forward the port (ssh -L), or add --allow-remote.',
    );
  }
  if (EVERY_ADDRESS.includes(address)) {
    throw new CommandError(
      'USAGE',
      'serve: --host must be one address: the viewer answers only requests that name it. Give the address that people use.',
    );
  }
  return address;
}

/** The one form of an address that browsers send in their requests. */
function canonical(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/** The origin of a server at this address, as a browser writes it: without the default port, with the address in its one form. */
export function originAt(address: string, port: number): string {
  return new URL(`http://${isIP(address) === 6 ? `[${address}]` : address}:${port}`).origin;
}

/** @throws {@link CommandError} `USAGE`. */
export function parsePort(port: string): number {
  const number = Number(port);
  if (!/^\d{1,5}$/.test(port) || number > 65_535) {
    throw new CommandError('USAGE', 'serve: --port must be a number from 0 (any free port) to 65535.');
  }
  if (BAD_PORTS.has(number)) {
    throw new CommandError(
      'USAGE',
      `serve: browsers do not open port ${number}. Choose another --port, or leave it out.`,
    );
  }
  return number;
}
