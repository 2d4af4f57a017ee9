/**
 * Lets `{@link Name}` reach what another entry point exports. TypeDoc looks a name up where the comment stands; errors,
 * layers and options are named in comments all over, and importing them there only for a link would load files.
 *
 * @param {import('typedoc').Application} app
 */
export function load(app) {
  app.converter.addUnknownSymbolResolver((reference, from) => {
    const path = reference.symbolReference?.path ?? [];
    if (path.length === 0) return undefined;
    for (const entryPoint of from.project.children ?? []) {
      const target = entryPoint.getChildByName(path.map((part) => part.path));
      if (target !== undefined) return { target };
    }
    return undefined;
  });
}
