/** SoftHSM2, an HSM in software with a real PKCS #11 interface: Debian package `softhsm2`, binding in `soft-hsm/`. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pkcs11Module } from '../../src/kms/pkcs11.ts';

export const PIN = '5678';
export const TOKEN_LABEL = 'strongroom test';

/** What the tests need of pkcs11js beyond what the adapter needs. */
interface TestModule extends Pkcs11Module {
  load(path: string): void;
  C_Initialize(options: { flags: number }): void;
  C_Finalize(): void;
  C_CloseAllSessions(slot: Buffer): void;
  C_GenerateKey(session: Buffer, mechanism: { mechanism: number }, template: unknown[]): Buffer;
  C_DestroyObject(session: Buffer, object: Buffer): void;
  C_SetAttributeValue(session: Buffer, object: Buffer, template: unknown[]): void;
}

export interface SoftHsm extends Disposable {
  /** Closes every session of this process, which logs it out. */
  closeAllSessions(): void;
  readonly module: TestModule;
  /** Makes an AES key of 256 bits. */
  generate(label: string, attributes?: { readonly extractable?: boolean }): void;
  destroy(label: string): void;
  /** Sets `CKA_ENCRYPT` and `CKA_DECRYPT`. */
  allow(label: string, use: boolean): void;
}

const LIBRARIES = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so'];
const BINDING = join(import.meta.dirname, 'soft-hsm', 'package.json');

/**
 * A new token, or `undefined`, said loudly, where SoftHSM2 or its binding is not installed. In CI their absence is a
 * failure.
 */
export function softHsm(): SoftHsm | undefined {
  const library = LIBRARIES.find((path) => existsSync(path));
  let binding: { PKCS11: new () => TestModule };
  try {
    binding = createRequire(BINDING)('pkcs11js') as typeof binding;
  } catch {
    return absent('pkcs11js (npm ci in test/support/soft-hsm)');
  }
  if (library === undefined) return absent('SoftHSM2 (Debian package softhsm2)');

  const folder = mkdtempSync(join(tmpdir(), 'soft-hsm-'));
  const configuration = join(folder, 'softhsm2.conf');
  writeFileSync(
    configuration,
    `directories.tokendir = ${folder}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  // Read by the library when it is initialized.
  process.env['SOFTHSM2_CONF'] = configuration;
  const label = ['--label', TOKEN_LABEL, '--so-pin', '1234', '--pin', PIN];
  execFileSync('softhsm2-util', ['--init-token', '--free', ...label], { stdio: 'ignore' });
  const module = new binding.PKCS11();
  module.load(library);
  module.C_Initialize({ flags: 2 });

  const slotOfToken = (): Buffer =>
    module
      .C_GetSlotList(true)
      .find((one) => module.C_GetTokenInfo(one).label.trim() === TOKEN_LABEL) as Buffer;

  function inSession<T>(action: (session: Buffer) => T): T {
    const session = module.C_OpenSession(slotOfToken(), 6);
    try {
      try {
        module.C_Login(session, 1, PIN);
      } catch (error) {
        if (!(error as Error).message.includes('ALREADY')) throw error;
      }
      return action(session);
    } finally {
      module.C_CloseSession(session);
    }
  }

  function find(session: Buffer, name: string): Buffer {
    module.C_FindObjectsInit(session, [{ type: 3, value: name }]);
    const [object] = module.C_FindObjects(session, 1);
    module.C_FindObjectsFinal(session);
    return object as Buffer;
  }

  return {
    module,
    closeAllSessions: () => module.C_CloseAllSessions(slotOfToken()),
    generate(name, { extractable = false } = {}) {
      inSession((session) =>
        module.C_GenerateKey(session, { mechanism: 0x1080 }, [
          { type: 0x0, value: 4 },
          { type: 0x1, value: true },
          { type: 0x3, value: name },
          { type: 0x161, value: 32 },
          { type: 0x103, value: true },
          { type: 0x162, value: extractable },
          { type: 0x104, value: true },
          { type: 0x105, value: true },
        ]),
      );
    },
    destroy(name) {
      inSession((session) => module.C_DestroyObject(session, find(session, name)));
    },
    allow(name, use) {
      inSession((session) =>
        module.C_SetAttributeValue(session, find(session, name), [
          { type: 0x104, value: use },
          { type: 0x105, value: use },
        ]),
      );
    },
    [Symbol.dispose]() {
      module.C_Finalize();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function absent(what: string): undefined {
  const message = `SKIPPED: ${what} is absent, the PKCS #11 adapter was not tested.`;
  if (process.env['CI'] !== undefined) throw new Error(message);
  console.warn(message);
}
