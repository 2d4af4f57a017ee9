/** Who calls: a bearer token names a tenant and a user, and is checked before anything else happens. */
import { importJWK, jwtVerify, SignJWT, type JWK } from 'jose';
import { refusal } from './refusal.ts';

/** The caller of one request. It is the `context` of its run, so every layer of the stack sees it. */
export interface Caller {
  readonly tenant: string;
  readonly user: string;
}

/** Gives the caller of a request, or throws a refusal. */
export type Authenticate = (request: Request) => Promise<Caller>;

const AUDIENCE = 'agent-service';
const ALGORITHM = 'HS256';

/**
 * Checks a JWT in the header `authorization`: `sub` is the user, `tenant` the tenant. With an identity provider, pass its
 * public key (`createRemoteJWKSet` of jose) to `jwtVerify` instead of a key that this service shares.
 */
export function bearerTokens(key: JWK): Authenticate {
  return async (request) => {
    const token = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    if (token === undefined) {
      throw refusal('unauthenticated', 'Send a token: "authorization: Bearer <JWT>".');
    }
    const verified = await jwtVerify(token, await importJWK(key, ALGORITHM), {
      audience: AUDIENCE,
      algorithms: [ALGORITHM],
      requiredClaims: ['exp'],
    }).catch(() => {
      throw refusal('unauthenticated', 'The token is not valid, or has expired. Send a new one.');
    });
    const { sub: user, tenant } = verified.payload;
    if (!isName(user) || !isName(tenant)) {
      throw refusal(
        'unauthenticated',
        'The token needs the claims "sub" and "tenant", of 1 to 64 letters, digits, ".", "_", "@" or "-".',
      );
    }
    return { tenant, user };
  };
}

/** A token of one hour, for the examples and the tests. */
export async function issueToken(key: JWK, { tenant, user }: Caller): Promise<string> {
  return new SignJWT({ tenant })
    .setProtectedHeader({ alg: ALGORITHM })
    .setSubject(user)
    .setAudience(AUDIENCE)
    .setExpirationTime('1h')
    .sign(await importJWK(key, ALGORITHM));
}

/** Short enough that the id of a conversation, which has both names, stays below the 512 bytes of a session id. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.@-]{1,64}$/.test(value);
}
