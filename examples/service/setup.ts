/** Writes the settings of a new service for the tenants that it is given: `node setup.ts acme globex > service.env`. */
import { generateKey } from 'strongroom';

const tenants = process.argv.slice(2);
if (tenants.length === 0) throw new Error('Name at least one tenant.');

const keys = Object.fromEntries(
  await Promise.all(tenants.map(async (tenant) => [tenant, { current: await generateKey() }])),
);
const secret = crypto.getRandomValues(new Uint8Array(32));
const tokenKey = { kty: 'oct', k: Buffer.from(secret).toString('base64url') };

console.log(`SERVICE_KEYS='${JSON.stringify(keys)}'`);
console.log(`SERVICE_TOKEN_KEY='${JSON.stringify(tokenKey)}'`);
