import { ancestorsOf } from '../../derived-id.ts';
import { heldError } from '../../keys/dek-store.ts';
import type { RedisCommands } from './client.ts';
import type { SessionKeys } from './keys.ts';

interface Places {
  readonly commands: RedisCommands;
  readonly keysOf: (sessionId: string) => SessionKeys;
}

/**
 * Before a script that looks at the session's own holds.
 *
 * @throws {@link StrongroomError} `ERR_HELD` when there is one on a session that this one was made from.
 */
export async function assertNotHeldAbove(places: Places, sessionId: string): Promise<void> {
  const hold = await holdAbove(places, sessionId);
  if (hold !== undefined) throw heldError(sessionId, hold);
}

/** The id of an open hold on a session that this one was made from. */
export async function holdAbove(
  { commands, keysOf }: Places,
  sessionId: string,
): Promise<string | undefined> {
  for (const ancestor of ancestorsOf(sessionId)) {
    const [hold] = (await commands.read('HKEYS', keysOf(ancestor).holds)) as Buffer[];
    if (hold !== undefined) return hold.toString();
  }
  return undefined;
}
