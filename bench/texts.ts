/** A sentence in each of twelve scripts, without anything to find. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  Latin: 'Das Paket kam spät, und niemand schrieb, wann es wieder zugestellt würde. ',
  Cyrillic: 'Посылка пришла поздно, и никто не написал, когда её снова доставят. ',
  Greek: 'Το δέμα έφτασε αργά και κανείς δεν έγραψε πότε θα παραδοθεί ξανά. ',
  Arabic: 'وصل الطرد متأخرا ولم يكتب أحد متى سيتم تسليمه مرة أخرى. ',
  Hebrew: 'החבילה הגיעה באיחור ואיש לא כתב מתי תימסר שוב. ',
  Devanagari: 'पार्सल देर से आया और किसी ने नहीं लिखा कि वह फिर कब पहुँचेगा। ',
  Bengali: 'পার্সেলটি দেরিতে এসেছে এবং কেউ লেখেনি কখন আবার আসবে। ',
  Tamil: 'பொட்டலம் தாமதமாக வந்தது, மீண்டும் எப்போது வரும் என்று யாரும் எழுதவில்லை. ',
  Thai: 'พัสดุมาถึงช้าและไม่มีใครเขียนว่าจะส่งอีกเมื่อไร ',
  Han: '包裹到得很晚，没有人写明什么时候会再次投递。',
  Kana: 'にもつがおくれてとどき、いつまたはいたつされるのかだれもかきませんでした。',
  Hangul: '소포가 늦게 도착했고 언제 다시 배달되는지 아무도 적지 않았습니다. ',
};

/** Texts on which unbounded patterns backtrack again and again. */
export const HOSTILE_TEXTS: Readonly<Record<string, string>> = {
  'a.a.a.': 'a.',
  '@@@': '@',
  'a@a@': 'a@',
  digits: '1234567890',
  'digits and spaces': '12 34 ',
  '+1-1-1-': '+1-',
  'colons and hex': 'ab:cd:',
  underscores: 'sk_live_',
  'key: key: ': 'password: ',
  JSON: '{"a":',
  percent: '%2540',
  base64: 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo',
};
