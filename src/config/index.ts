export {
  defineConfig,
  type Config,
  type ConfigKeys,
  type ConfigOptions,
  type ConfigParts,
} from './define-config.ts';
export { loadKey, type KeyReference } from './key-reference.ts';
