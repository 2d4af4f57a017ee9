import { boundedMap } from '../bounded-map.ts';
import { rootOf } from '../derived-id.ts';
import type { StoreDriver } from './driver.ts';
import type { Owner, StoreSession } from './session.ts';
import { contesting, type KnownSubjects } from './subjects.ts';

/** Conversations whose subject is known here. */
const MOST_SUBJECTS = 10_000;

/** The sessions that are open in this process: one object for an id as long as it is referenced. */
export interface OpenSessions extends KnownSubjects {
  readonly open: (id: string, subject: string | undefined) => StoreSession;
}

/**
 * @param driver Of the store. @param create Makes a session over this driver, or over one that asks it before.
 */
export function createOpenSessions(
  driver: () => StoreDriver,
  create: (driver: StoreDriver, id: string, owner: Owner) => StoreSession,
): OpenSessions {
  const given = boundedMap<string>(MOST_SUBJECTS);
  const live = new Map<string, WeakRef<StoreSession>>();
  const collected = new FinalizationRegistry<string>((id) => {
    if (live.get(id)?.deref() === undefined) live.delete(id);
  });
  const owners = new WeakMap<StoreSession, Owner>();

  function make(over: StoreDriver, id: string, subject: string | undefined): StoreSession {
    const owner: Owner = {
      subject,
      // The next call, with the right subject or none, must not get this session.
      refused() {
        if (live.get(id)?.deref() !== session) return;
        given.delete(rootOf(id));
        live.delete(id);
      },
    };
    const session = create(over, id, owner);
    owners.set(session, owner);
    return session;
  }

  function keep(id: string, session: StoreSession): StoreSession {
    const subject = owners.get(session)?.subject;
    if (subject !== undefined) given.set(id, subject);
    live.set(id, new WeakRef(session));
    collected.register(session, id);
    return session;
  }

  /** A session that is open here with another subject: it becomes the open one when the database has it. */
  function contest(id: string, subject: string, remembered: string): StoreSession {
    // Until then what is derived from it can be of either.
    given.delete(id);
    const contested = contesting(driver(), { id, subject, remembered }, () => keep(id, session));
    const session = make(contested, id, subject);
    return session;
  }

  return {
    given,
    open(id, subject) {
      const known = live.get(id)?.deref();
      const owner = known && owners.get(known);
      if (known === undefined || owner === undefined) return keep(id, make(driver(), id, subject));
      if (owner.removed === true && subject !== owner.subject) return keep(id, make(driver(), id, subject));
      owner.subject ??= subject;
      if (owner.subject === undefined || subject === undefined) return known;
      if (subject !== owner.subject) return contest(id, subject, owner.subject);
      owner.removed = false;
      given.set(id, subject);
      return known;
    },
    removed(id) {
      given.delete(id);
      const known = live.get(id)?.deref();
      const owner = known && owners.get(known);
      if (owner?.subject !== undefined) owner.removed = true;
    },
  };
}
