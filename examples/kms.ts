/**
 * The key-encryption key in a KMS. The key services below are configured and not called: this runs without a
 * network. A fake one shows what a program sees while its KMS is down.
 */
import { KMSClient } from '@aws-sdk/client-kms';
import type { TokenCredential } from '@azure/core-auth';
import { CryptographyClient } from '@azure/keyvault-keys';
import { KeyManagementServiceClient } from '@google-cloud/kms';
import { MemorySession } from '@openai/agents';
import { encrypt, isStrongroomError, keyring, wrapSession, type KeyProvider } from 'strongroom';
import { awsKms } from 'strongroom/kms/aws';
import { azureKeyVault } from 'strongroom/kms/azure';
import { gcpKms } from 'strongroom/kms/gcp';
import { pkcs11, type Pkcs11Module } from 'strongroom/kms/pkcs11';
import { vaultTransit } from 'strongroom/kms/vault';
import { fakeKms } from 'strongroom/testing';

function inAws(): KeyProvider {
  // #region aws
  // maxAttempts: 1, because awsKms repeats calls itself, and both repetitions would multiply.
  const client = new KMSClient({ region: 'eu-central-1', maxAttempts: 1 });
  return awsKms({
    client,
    keyId: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
  });
  // #endregion
}

function inVault(): KeyProvider {
  // #region vault
  return vaultTransit({
    address: 'https://vault.example:8200',
    token: () => process.env['VAULT_TOKEN'] ?? '', // asked for each call: a renewed token is used at once
    key: 'conversations',
  });
  // #endregion
}

// Not called: Google's client looks for credentials on the network as soon as it is made.
export function inGoogleCloud(): KeyProvider {
  // #region gcp
  const keyRing = 'projects/clinic/locations/europe-west3/keyRings/agents';
  return gcpKms({ client: new KeyManagementServiceClient(), keyName: `${keyRing}/cryptoKeys/conversations` });
  // #endregion
}

// #region azure
// credential: such as new DefaultAzureCredential() of @azure/identity
export function inAzure(credential: TokenCredential): KeyProvider {
  const keyId = 'https://clinic.vault.azure.net/keys/conversations/0123456789abcdef0123456789abcdef';
  // maxRetries: 0, because azureKeyVault repeats calls itself.
  const client = new CryptographyClient(keyId, credential, { retryOptions: { maxRetries: 0 } });
  return azureKeyVault({ client, keyId });
}
// #endregion

// #region pkcs11
// const module = new PKCS11(); // of pkcs11js
// module.load('/usr/lib/softhsm/libsofthsm2.so');
// module.C_Initialize({ flags: CKF_OS_LOCKING_OK });
export function inHsm(module: Pkcs11Module, pin: string): KeyProvider {
  return pkcs11({ pkcs11: module, token: 'strongroom', keyLabel: 'conversations', pin });
}
// #endregion

for (const provider of [inAws(), inVault()]) console.log(`made, not called: ${provider.kid}`);

// #region down
const kms = fakeKms({ attempts: 2, backoff: '1ms' });
const inner = new MemorySession();
const stack = () => wrapSession(inner, [encrypt({ keys: keyring({ current: kms }) })]);
await stack().addItems([{ role: 'user', content: 'Hello' }]);

kms.state = 'down';
try {
  await stack().getItems(); // a new process: nothing cached
} catch (error) {
  if (!isStrongroomError(error) || error.code !== 'ERR_KEY_UNAVAILABLE') throw error;
  console.log(`${error.code}: nothing was removed, the same read can succeed later`);
}
kms.state = 'up';
console.log(`items after the outage: ${(await stack().getItems()).length}`);
// #endregion
