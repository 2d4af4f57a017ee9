import { late } from '../late.ts';
import { placedPattern, type PlacedPattern } from '../places.ts';

// Names of secrets with letters beyond ASCII, in lower case, a comma between them. A space stands for any separator; a name
// that is also written without one is there twice.

const PASSWORDS = (
  'contraseña,şifre,hasło,lösenord,jelszó,mật khẩu,пароль,пароля,密码,密碼,口令,パスワード,パスコード,비밀번호,암호,รหัสผ่าน,كلمة المرور,كلمة السر,رمز عبور,סיסמה,पासवर्ड,' +
  'পাসওয়ার্ড,κωδικός,κωδικος,лозинка,лозинки,parolă,salasõna,slaptažodis,lykilorð,fjalëkalim,fjalëkalimi,нууц үг,құпия сөз,құпиясөз,գաղտնաբառ,პაროლი,' +
  'گذرواژه,پاس ورڈ,کلمه عبور,الرقم السري,كلمة سر,ססמה,கடவுச்சொல்,పాస్వర్డ్,ಪಾಸ್ವರ್ಡ್,പാസ്വേഡ്,પાસવર્ડ,ਪਾਸਵਰਡ,මුරපදය,ລະຫັດຜ່ານ,ពាក្យសម្ងាត់,' +
  'စကားဝှက်,የይለፍ ቃል,暗証番号,' +
  'парола,парол,сырсөз,סיסמא,الرمز السري,كلمه المرور,كلمه السر,پسورد,कूटशब्द,संकेतशब्द,พาสเวิร์ด,通行码,通行碼,パスフレーズ,合言葉,패스워드,비번,aðgangsorð,' +
  'κωδικός πρόσβασης,mật mã'
).split(',');

const TOKENS = [
  // Chinese, Japanese, Korean
  '密钥,密鑰,令牌,金钥,金鑰,權杖,トークン,シークレット,シークレットキー,アクセスキー,シークレット キー,アクセス キー,apiキー,api キー,認証キー,暗号化キー,署名キー,マスターキー,暗号キー,api鍵,' +
    'ライセンスキー,秘密キー,秘密鍵,토큰,시크릿,시크릿 키,시크릿키,api 키,api키,액세스 키,액세스키,접근 키,비밀 키,비밀키,인증 키,인증키',
  // Cyrillic, Greek
  'токен,секрет,ключ api,api ключ,ключ апи,секретный ключ,ключ доступа,приватный ключ,закрытый ключ,секретний ключ,ключ доступу,' +
    'приватний ключ,таен ключ,ключ за достъп,тајни кључ,кључ api,κλειδί api,api κλειδί,μυστικό κλειδί,κλειδί πρόσβασης',
  // Latin letters
  "clé api,clé d'api,clé de l'api,clé secrète,clé privée,clé d'accès,jeton d'accès,jeton secret,api schlüssel,zugangsschlüssel,zugriffsschlüssel," +
    'geheimer schlüssel,geheimschlüssel,privater schlüssel,lizenzschlüssel,privésleutel,klucz dostępu,klíč api,api klíč,tajný klíč,' +
    'přístupový klíč,kľúč api,api kľúč,tajný kľúč,åtkomstnyckel,api nøgle,hemmelig nøgle,adgangsnøgle,api nøkkel,hemmelig nøkkel,tilgangsnøkkel,hozzáférési kulcs,' +
    'api anahtarı,erişim anahtarı,erişim belirteci,cheie secretă,api lykill,khóa api,khoá api,khóa bí mật,khóa truy cập,mã thông báo',
  // Arabic, Persian, Urdu, Hebrew
  'مفتاح api,مفتاح سري,المفتاح السري,مفتاح الوصول,رمز الوصول,رمز api,کلید api,کلید مخفی,توکن,ٹوکن,מפתח api,מפתח סודי,מפתח פרטי,אסימון,טוקן',
  // India, South-East Asia
  'api कुंजी,एपीआई कुंजी,गुप्त कुंजी,टोकन,টোকেন,গোপন কী,டோக்கன்,టోకెన్,ಟೋಕನ್,ടോക്കൺ,ટોકન,ਟੋਕਨ,คีย์ api,คีย์ลับ,โทเค็น,โทเคน,រหัสลับ,កូនសោ api,ထိုကင်',
].flatMap((names) => names.split(','));

/** Names of secrets with letters beyond ASCII, in lower case. */
export const FOREIGN_NAMES: readonly string[] = [...PASSWORDS, ...TOKENS];

/** What may stand where a name has this character, beside it and its capital; Turkish has two letters i. */
const VARIANTS: Readonly<Record<string, string>> = { ' ': '_-', "'": '’', i: 'İ', ı: 'I' };

/** All characters that may stand where a name has this one. */
export function variantsOf(unit: string): string {
  const capital = unit.toUpperCase();
  return unit + (capital.length === 1 && capital !== unit ? capital : '') + (VARIANTS[unit] ?? '');
}

export const SEPARATORS: string = variantsOf(' ');

/** The source of a pattern for names with any separator; longer ones first, because others begin like them. */
export function anyOf(names: readonly string[]): string {
  return names
    .toSorted((one, other) => other.length - one.length)
    .join('|')
    .replaceAll(' ', `[${SEPARATORS}]`);
}

/** The ends of names of secrets with letters beyond ASCII. */
export const FOREIGN_NAME_ENDS: PlacedPattern = placedPattern(
  new RegExp(
    anyOf(FOREIGN_NAMES).replaceAll(/['iı]/g, (unit) => `[${variantsOf(unit)}]`),
    'i',
  ),
);

/** That a key ends with one of the names: a pattern for its words, in lower case and without what stands between them. */
export function endWithOneOf(names: readonly string[]): () => RegExp {
  return late(() => {
    // The capital of Turkish i is two characters in lower case.
    const ends = names.join('|').replaceAll(/[ ']/g, '').replaceAll('i', 'i\u0307?').replaceAll('ı', '[ıi]');
    return new RegExp(`(?:${ends})$`);
  });
}

export const FOREIGN_PASSWORD_END: () => RegExp = endWithOneOf(PASSWORDS);
export const FOREIGN_TOKEN_END: () => RegExp = endWithOneOf(TOKENS);
