/** The part of a `redis` client that ends it. */
export interface Endable {
  readonly isOpen: boolean;
  destroy(): void;
  on(event: 'connect', listener: () => void): unknown;
}

/**
 * Ends a client that does not reconnect by itself. A client that is destroyed before it has its socket gets one
 * nevertheless, and keeps it for ever: so it is destroyed as soon as it has it.
 */
export function createEnding(client: Endable): () => void {
  let hasSocket = false;
  let over = false;
  const destroy = (): void => {
    if (over && hasSocket && client.isOpen) client.destroy();
  };
  client.on('connect', () => {
    hasSocket = true;
    destroy();
  });
  return () => {
    over = true;
    destroy();
  };
}
