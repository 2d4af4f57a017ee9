/** One keyring a tenant: what one tenant stored cannot be opened with the key of another. */
import { keyring, type Keyring, type KeyringOptions } from 'strongroom';
import { refusal } from './refusal.ts';

/** The keys of each tenant, as JSON in `SERVICE_KEYS`: the current key, and earlier ones that still open. */
export type TenantKeys = Readonly<Record<string, KeyringOptions>>;

/** Gives the keyring of a tenant; a tenant without a key is refused before anything is stored. */
export function tenantKeyrings(keys: TenantKeys): (tenant: string) => Keyring {
  const rings = new Map(Object.entries(keys).map(([tenant, options]) => [tenant, keyring(options)]));
  return (tenant) => {
    const ring = rings.get(tenant);
    if (ring === undefined) throw refusal('forbidden', 'This tenant has no key here.');
    return ring;
  };
}
