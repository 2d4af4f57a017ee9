import packageJson from './package.json' with { type: 'json' };

/** @type {Partial<import('typedoc').TypeDocOptions>} */
export default {
  // One module a public entry point, so that a new one cannot be forgotten.
  entryPoints: Object.values(packageJson.exports).flatMap((target) =>
    typeof target === 'string' ? [] : [target['strongroom-source']],
  ),
  // Parts of a type that stands in the documentation itself; nobody names them alone.
  intentionallyNotExported: [
    'BranchMaintenance',
    'CopyBeginning',
    'CopyRecordsArgs',
    'Derive',
    'SdkUsage',
    'Keys',
    'Always',
    'Sometimes',
    'PrefixReplacing',
    'Check',
    'Gathering',
    'Maintenance',
    'SessionLeases',
    'StoreCalls',
    'Admit',
    'Input',
    'WithSession',
    'MysqlStatement',
    'MysqlValue',
    'PGliteResult',
    'PGliteTransaction',
    'PostgresPoolClient',
    'RecordSource',
    'RedisArgument',
    'ShareRecordsArgs',
    'Parts',
    'CallsOf',
    'StoreMembers',
  ],
  plugin: ['./tools/typedoc-links.mjs'],
  out: 'docs/api',
  // What a session inherits from the SDK is documented there.
  excludeExternals: true,
  excludeInternal: true,
  excludePrivate: true,
  treatWarningsAsErrors: true,
  validation: { notExported: true, invalidLink: true, notDocumented: false },
  readme: 'README.md',
  // Every paper, so that the built documentation needs no repository and no network.
  projectDocuments: [
    'docs/*.md',
    'docs/decisions/*.md',
    'SECURITY.md',
    'SPEC.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SKILL.md',
  ],
  highlightLanguages: ['bash', 'console', 'hcl', 'javascript', 'json', 'python', 'sql', 'typescript'],
  disableSources: true,
};
