/** A token for a user of a tenant: `node --env-file=service.env token.ts acme ada`. Your identity provider does this. */
import { issueToken } from './callers.ts';
import { tokenKey } from './settings.ts';

const [tenant, user] = process.argv.slice(2);
if (tenant === undefined || user === undefined) throw new Error('Name a tenant and a user.');
console.log(await issueToken(tokenKey(), { tenant, user }));
