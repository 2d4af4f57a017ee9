/** In the form in which nodes name each other. */
export function addressOf({ hostname, port }: URL): string {
  return `${hostname.replace(/^\[|\]$/g, '')}:${port === '' ? '6379' : port}`;
}

export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

/** The same user, password and encryption at another address. */
export function withAddress(url: string, address: string): string {
  const host = hostOf(address);
  const changed = new URL(url);
  changed.hostname = host.includes(':') ? `[${host}]` : host;
  changed.port = address.slice(host.length + 1);
  return changed.href;
}
