import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

// Names of keys, tokens and passwords in other languages than English, in each form in which they name a value.

const redactor = createRedactor({});
const SECRET = 'abcDEF123456ghiJKL789mnop';
const PASSWORD = 'Tr0ub4dor3';

const TOKENS: Readonly<Record<string, string>> = {
  Chinese: '密钥,访问密钥,API密钥,API 密鑰,令牌,访问令牌,金鑰,存取金鑰,權杖',
  Japanese:
    'トークン,アクセストークン,アクセスキー,APIキー,API キー,シークレット,シークレットキー,シークレット キー,秘密鍵,API鍵,認証キー,暗号化キー,マスターキー',
  Korean: '토큰,액세스 토큰,API 키,API키,액세스 키,시크릿 키,비밀키,인증 키',
  Russian: 'токен,секрет,ключ API,API-ключ,секретный ключ,ключ доступа,приватный ключ',
  Ukrainian: 'токен,секретний ключ,ключ доступу',
  Greek: 'κλειδί API,μυστικό κλειδί,κλειδί πρόσβασης',
  French: "clé API,clé d’API,clé d'accès,clé secrète,clé privée,jeton d’accès,jeton",
  Spanish: 'clave API,clave de API,clave secreta,token de acceso',
  Portuguese: 'chave API,chave da API,chave secreta,token de acesso',
  Italian: 'chiave API,chiave segreta,token di accesso',
  German: 'API-Schlüssel,Zugangsschlüssel,geheimer Schlüssel,Zugriffstoken',
  Dutch: 'API-sleutel,geheime sleutel',
  Polish: 'klucz API,tajny klucz,klucz dostępu',
  Czech: 'klíč API,tajný klíč',
  Nordic: 'API-nyckel,hemlig nyckel,API-nøgle,API-nøkkel,API-avain',
  Hungarian: 'API-kulcs,titkos kulcs,hozzáférési kulcs',
  Turkish: 'API anahtarı,erişim anahtarı,gizli anahtar',
  Vietnamese: 'khóa API,khóa bí mật,mã thông báo',
  Indonesian: 'kunci API,kunci rahasia,token akses',
  Arabic: 'مفتاح API,المفتاح السري,رمز الوصول',
  Persian: 'کلید API,توکن',
  Hebrew: 'מפתח API,מפתח סודי,אסימון',
  Hindi: 'API कुंजी,गुप्त कुंजी,टोकन',
  Thai: 'คีย์ API,โทเค็น',
};
const PASSWORDS =
  'contraseña,şifre,hasło,lösenord,jelszó,mật khẩu,пароль,密码,パスワード,パスコード,비밀번호,รหัสผ่าน,सिर्फ पासवर्ड,κωδικός,κωδικος,лозинка,parolă,құпия сөз,ລະຫັດຜ່ານ,ពាក្យសម្ងាត់,စကားဝှက်,парола,парол,סיסמא,الرمز السري,كلمه السر,پسورد,कूटशब्द,พาสเวิร์ด,通行码,パスフレーズ,패스워드,비번,κωδικός πρόσβασης,mật mã,parol,wagwoord,kodeord,tunnussana,palavra-passe'.split(
    ',',
  );

/** Names in a script that is written without spaces touch their value. */
const TOUCHES =
  /[\p{Script=Han}\p{Script=Katakana}ー\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]\p{M}*$/u;

function forms(name: string, value: string): readonly string[] {
  return [
    `${name}: ${value}`,
    `${name}：${value}`,
    `${name} = "${value}"`,
    `${name}:\n${value}`,
    `${name.toLocaleUpperCase(/[şı]/.test(name) ? 'tr' : 'en')}: ${value}`,
    `(${name[0]?.toUpperCase()}${name.slice(1)}: ${value})`,
    JSON.stringify({ [name]: value }),
    // Letters and their marks apart, as file names of macOS have them.
    `${name}: ${value}`.normalize('NFD'),
    JSON.stringify({ [name.normalize('NFD')]: value }),
    ...(TOUCHES.test(name) ? [`${name}${value}`] : []),
  ];
}

describe.each(Object.entries(TOKENS))('names of keys and tokens: %s', (_language, names) => {
  test.each(names.split(','))('%s', async (name) => {
    for (const text of forms(name, SECRET)) {
      const redacted = await redactor.redactText(text);
      expect(redacted).toBe(text.replace(SECRET, '<API_KEY>'));
    }
  });
});

test.each(PASSWORDS)('the name of a password, also in capitals and touching: %s', async (name) => {
  for (const text of forms(name, PASSWORD)) {
    expect(await redactor.redactText(text)).toBe(text.replace(PASSWORD, '<PASSWORD>'));
  }
});

test.each([
  '公开密钥：MIIBIjANBgkqhkiG9w0BAQEFAAOC',
  '公開金鑰: MIIBIjANBgkqhkiG9w0BAQEFAAOC',
  '令牌已过期',
  '密钥管理服务',
  'トークン数: 4096',
  'トークン: 必須',
  'ключ: значение',
  'секрет: успеха',
  'clave: importante',
  'la clé: abcDEF123456ghiJKL789mnop',
  'der Schlüssel: abcDEF123456ghiJKL789mnop',
  'jeton: expiré',
  'chave de acesso: 35200614200166000187550010000000046623138195',
])('not a secret: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));
