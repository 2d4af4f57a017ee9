import type { Session } from '@openai/agents';
import { lineageOf } from '../derived-id.ts';
import type { SessionCall } from '../layer.ts';
import { vaultOpeners } from '../layers/redact.ts';
import { innermostOf, layersOf, wrapSession } from '../wrap-session.ts';

/**
 * A vault in the layers that `redact()` opens it with: sealed by others, `redact()` could not read it any more. Without a
 * `redact()` in the stack that has vaults nobody knows these layers; then it is the session as it is given.
 *
 * @param session The vault, in the stack of its store.
 * @param call A call on it.
 */
export async function asRedactOpens(session: Session, call: SessionCall): Promise<Session> {
  const parent = lineageOf(call.sessionId)?.parent ?? '';
  const opened: Session[] = [];
  for (const layer of layersOf(session)) {
    const vault = vaultOpeners.get(layer);
    if (vault !== undefined)
      opened.push(typeof vault === 'function' ? vault(parent, { ...call, sessionId: parent }) : vault);
  }
  for (const vault of opened)
    if ((await vault.getSessionId()) === call.sessionId) return inLayersOf(vault, session);
  // One that is chosen by the run context has the layers of its kind.
  const [other] = opened;
  return other === undefined ? session : inLayersOf(other, session);
}

function inLayersOf(vault: Session, session: Session): Session {
  const layers = layersOf(vault);
  return layers.length === 0 ? innermostOf(session) : wrapSession(innermostOf(session), layers);
}
