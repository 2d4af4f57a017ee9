import { ancestorsOf } from '../../derived-id.ts';
import { heldError } from '../../keys/dek-store.ts';
import type { HeldSession } from '../driver.ts';
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
export async function holdAbove(places: Places, sessionId: string): Promise<string | undefined> {
  return (await openHold(places, ancestorsOf(sessionId)))?.hold;
}

/** An open hold on one of these sessions. */
export async function openHold(
  { commands, keysOf }: Places,
  sessionIds: readonly string[],
): Promise<HeldSession | undefined> {
  const found = await Promise.all(
    sessionIds.map(async (id) => (await commands.read('HKEYS', keysOf(id).holds)) as Buffer[]),
  );
  for (const [index, [hold]] of found.entries()) {
    if (hold !== undefined) return { sessionId: sessionIds[index] as string, hold: hold.toString() };
  }
  return undefined;
}
