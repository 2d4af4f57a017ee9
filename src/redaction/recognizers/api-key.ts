import { wordsOfKey, words } from '../context.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

/**
 * Keys that name their provider by a prefix. Each pattern starts at a literal that nothing of the key's own
 * alphabet may precede, so a run of such characters is read once.
 */
const PROVIDERS: readonly (readonly [provider: string, pattern: RegExp])[] = [
  ['Anthropic, OpenAI, OpenRouter, DeepSeek', /(?<![\w-])sk-[A-Za-z0-9_-]{16,250}/g],
  ['AWS', /(?<!\w)(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?!\w)/g],
  ['GitHub', /(?<!\w)gh[oprsu]_[A-Za-z0-9]{30,255}(?!\w)/g],
  ['GitHub', /(?<!\w)github_pat_[A-Za-z0-9_]{22,255}/g],
  ['GitLab', /(?<![\w-])gl(?:pat|dt|rt|ptt|cbt|ft|imt|agent|soat)-[\w-]{20,255}/g],
  ['Slack', /(?<![\w-])xox[abeoprs]-[A-Za-z0-9-]{10,255}/g],
  ['Slack', /(?<![\w-])xapp-\d-[A-Za-z0-9-]{10,255}/g],
  ['Slack', /(?<!\w)hooks\.slack\.com\/(?:services|workflows)\/[A-Za-z0-9/]{20,255}/g],
  ['Google', /(?<![\w-])AIza[\w-]{35}(?![\w-])/g],
  ['Google', /(?<![\w-])GOCSPX-[\w-]{28}(?![\w-])/g],
  ['Google', /(?<![\w-])ya29\.[\w-]{20,255}/g],
  ['Stripe', /(?<!\w)(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,255}(?!\w)/g],
  ['Stripe', /(?<!\w)whsec_[A-Za-z0-9+/=]{24,255}/g],
  ['npm', /(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)/g],
  ['PyPI', /(?<![\w-])pypi-AgEIcHlwaS5vcmc[\w-]{40,255}/g],
  ['Hugging Face', /(?<!\w)(?:hf|api_org)_[A-Za-z0-9]{30,40}(?!\w)/g],
  ['SendGrid', /(?<![\w.-])SG\.[\w-]{16,32}\.[\w-]{16,64}(?![\w-])/g],
  ['Twilio', /(?<!\w)SK[0-9a-fA-F]{32}(?!\w)/g],
  ['Mailgun', /(?<![\w-])key-[0-9a-f]{32}(?!\w)/g],
  ['Mailchimp', /(?<!\w)[0-9a-f]{32}-us\d{1,2}(?!\w)/g],
  ['Telegram', /(?<!\w)\d{8,10}:AA[\w-]{33}(?![\w-])/g],
  ['Discord', /(?<![\w.-])[MNO][A-Za-z\d_-]{23,25}\.[\w-]{6}\.[\w-]{27,40}(?![\w-])/g],
  ['Discord', /(?<!\w)discord(?:app)?\.com\/api\/webhooks\/\d{15,22}\/[\w-]{40,100}/g],
  ['DigitalOcean', /(?<!\w)do[opr]_v1_[a-f0-9]{64}(?!\w)/g],
  ['Shopify', /(?<!\w)shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}(?!\w)/g],
  ['Square', /(?<![\w-])sq0(?:atp|csp|idp)-[\w-]{22,43}(?![\w-])/g],
  ['Square', /(?<![\w-])EAAA[\w-]{56,64}(?![\w-])/g],
  ['Databricks', /(?<!\w)dapi[a-f0-9]{32}(?:-\d)?(?!\w)/g],
  ['Linear', /(?<!\w)lin_(?:api|oauth)_[A-Za-z0-9]{32,64}(?!\w)/g],
  ['Notion', /(?<!\w)(?:ntn|secret)_[A-Za-z0-9]{40,50}(?!\w)/g],
  ['Atlassian', /(?<![\w-])AT(?:ATT|CTT|BB)[A-Za-z0-9_-]{28,255}={0,2}[A-F0-9]{0,8}/g],
  ['Figma', /(?<![\w-])fig[dou]_[\w-]{40,64}/g],
  ['HashiCorp Vault', /(?<![\w.-])hv[bsr]\.[\w-]{24,255}/g],
  ['Terraform', /(?<![\w.-])[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,70}(?![\w-])/g],
  ['Azure', /(?<!\w)AccountKey=[A-Za-z0-9+/]{86}==/g],
  ['Groq', /(?<!\w)gsk_[A-Za-z0-9]{48,60}(?!\w)/g],
  ['xAI', /(?<![\w-])xai-[A-Za-z0-9]{70,90}(?!\w)/g],
  ['Perplexity', /(?<![\w-])pplx-[A-Za-z0-9]{40,64}(?!\w)/g],
  ['Replicate', /(?<!\w)r8_[A-Za-z0-9]{37}(?!\w)/g],
  ['New Relic', /(?<![\w-])NR(?:AK|II|BR|SP)-[A-Za-z0-9_-]{27,42}(?!\w)/g],
  ['Sentry', /(?<!\w)sntry[su]_[A-Za-z0-9+/=_-]{40,255}/g],
  ['Grafana', /(?<!\w)gl(?:sa|c)_[A-Za-z0-9+/=_]{32,255}/g],
  ['PostHog', /(?<!\w)ph[cx]_[A-Za-z0-9]{40,50}(?!\w)/g],
  ['Supabase', /(?<!\w)sb(?:p|_secret|_publishable)_[A-Za-z0-9_]{20,80}/g],
  ['PlanetScale', /(?<![\w.-])pscale_(?:tkn|pw|oauth)_[\w.-]{32,64}/g],
  ['Docker', /(?<![\w-])dckr_(?:pat|oat)_[\w-]{27,64}/g],
  ['Airtable', /(?<![\w.-])pat[A-Za-z0-9]{14}\.[a-f0-9]{64}(?!\w)/g],
  ['Doppler', /(?<![\w.-])dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,64}/g],
  ['age', /(?<![\w-])AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}(?!\w)/g],
];

const BEARER = /(?<!\w)(?:bearer|token|basic) {1,4}([A-Za-z0-9._~+/-]{20,2048}={0,2})/gi;
const ASSIGNED =
  /(?<![A-Za-z0-9])(?:api[ _-]?key|apikey|secret[ _-]?key|access[ _-]?token|auth[ _-]?token|client[ _-]?secret|secret[ _-]?access[ _-]?key)["']{0,2} {0,3}(?:[:=]|is) {0,3}["']{0,2}([A-Za-z0-9._~+/=-]{16,512})/gi;
const SECRET_KEYS = words('secret apikey token accesstoken authtoken clientsecret privatekey');
/** `next_page_token`, `token_count`, `secret_id`. */
const HARMLESS_KEYS = words('count id ids type page next cursor continuation sync limit usage');
const SHORTEST = 16;

/** Keys of about forty providers by their prefix, and what stands after `api_key =`, `Bearer` and the like. */
export const apiKeyRecognizer: BuiltInRecognizer = {
  name: 'api-key',
  entities: ['API_KEY'],
  patterns: [...PROVIDERS.map(([, pattern]) => pattern), BEARER, ASSIGNED],
  analyze(text, context): readonly RecognizerResult[] {
    if (text.length < SHORTEST) return [];
    const found: RecognizerResult[] = [];
    for (const [, pattern] of PROVIDERS) {
      for (const match of text.matchAll(pattern)) {
        // Words joined by hyphens can begin with sk-; a key of that form always has digits.
        if (isPlaceholder(match[0]) || (match[0].startsWith('sk-') && !/\d/.test(match[0]))) continue;
        push(found, match.index, match[0].length, 0.95);
      }
    }
    for (const pattern of [BEARER, ASSIGNED]) {
      for (const match of text.matchAll(pattern)) {
        const value = match[1] as string;
        if (looksRandom(value)) push(found, match.index + match[0].length - value.length, value.length, 0.7);
      }
    }
    if (
      isSecretKey(context.key) &&
      text.length <= 512 &&
      /^[A-Za-z0-9._~+/=-]+$/.test(text) &&
      looksRandom(text)
    ) {
      push(found, 0, text.length, 0.8);
    }
    return found;
  },
};

function push(found: RecognizerResult[], start: number, length: number, score: number): void {
  found.push({ entityType: 'API_KEY', start, end: start + length, score });
}

function isSecretKey(key: string | undefined): boolean {
  const parts = wordsOfKey(key);
  if (parts.some((word) => HARMLESS_KEYS.has(word))) return false;
  return parts.some((word) => SECRET_KEYS.has(word)) || (parts.includes('api') && parts.includes('key'));
}

/** `sk-xxxxxxxx…`, `YOUR_API_KEY_HERE`. */
function isPlaceholder(key: string): boolean {
  const body = key.toLowerCase();
  return /x{6}|\*{3}|your|placeholder|changeme|redacted/.test(body) || new Set(body).size < 8;
}

/** Letters and digits mixed, many different ones: no word, no date, no path. */
function looksRandom(value: string): boolean {
  if (value.length < SHORTEST || isPlaceholder(value)) return false;
  const isMixed = /[a-z]/.test(value) && /[A-Z]/.test(value);
  const digits = value.match(/\d/g)?.length ?? 0;
  return /[A-Za-z]/.test(value) && digits >= (isMixed ? 1 : 3) && new Set(value).size >= 10;
}
