import { plain, type Sentence } from './sentences.ts';

/** Words for what a query finds; no others may stand between "no" and "found", because "no name servers found" is about another thing. */
const THING =
  '(?:domains?|domain ?names?|names?|objects?|records?|entry|entries|data|match|matches|matching|matchingrecords?|information|infos?|registrations?|results?|hits?|items?|such|valid|whois|query|queried|requested|above|specified|given|selected|searched|corresponding|exact|dot|the|this|that|your|any|an?|in|for|of|or|key|DOMAIN|database|about|on|you (?:requested|queried|entered))';
const NAME =
  '(?:you (?:requested|queried|entered)|domains?|domain ?name|name|the|this|that|your|requested|queried|above|specified|given|selected|searched|DOMAIN|a)';
const DATABASE =
  '(?:in|within|from) (?:(?:the|our|this|that|its) )?(?:\\S+ ){0,4}?(?:database|registry|register|zone|system|source|records|whois)';
/** What may follow a statement; anything else, such as "means" or "or not", makes it another one. */
const END = `(?:$| ,| (?:for|matching|with|that match|by|under|about|on|of) (?:(?:the|this|your|selected|queried|requested|given) )*(?:domain|name|object|selection|search|criteria|query|request|source|DOMAIN)| ${DATABASE}| DOMAIN| (?:at|to) (?:this|the) (?:time|moment)| yet| ?\\d| (?:domain|object) not found| no matching| or (?:is )?unknown)`;

/** Statements that the domain is not registered, anchored at the beginning of a sentence. */
const ABSENCES = [
  // "No match", "No entries found", "There is no such domain".
  new RegExp(
    `^(?:DOMAIN )?(?:there (?:is|are|was|were) )?(?:no|0|zero) (?:${THING} )*${THING}(?: (?:was |were |is |are |has been |have been )?(?:found|exists?|available|returned|located|registered|matched))?${END}`,
  ),
  new RegExp(`^(?:no|nothing) (?:match )?found${END}`),
  // "Not found", "The domain has not been registered", "The queried object does not exist".
  new RegExp(
    `^(?:invalid query or )?(?:${THING} )*(?:(?:is|was|were|are|has|have|had|does|do|did|could|cannot|can) )?not (?:(?:been|be|yet|currently|a|in|our|the) )*(?:found|registered|exist|exists|existing|known|assigned|allocated|find|match|taken|located|use|present|database)(?: (?:in use|or known))?(?: matchingrecord| any (?:${THING} )*${THING}| to \\S+)?${END}`,
  ),
  /^we (?:(?:do not|don t|did not|could not|have not) (?:have|find|found|hold|locate|located)|have no|found no)(?: an?| any)? (?:entry|entries|record|records|match|matches|information|data|domain)\b/,
  /^(?:your |the |this )?(?:query|search|request|selection) (?:(?:did|does|has) not (?:match|return|produce|find|yield|matched|returned)|(?:returned|matched|produced|found|yielded) (?:no|0|zero)|matches (?:no|0))\b/,
  // "Domain is available for registration", "DOMAIN is free".
  new RegExp(
    `^(?:${NAME} )*(?:(?:is|was|are|seems|appears)(?: to be)? )?(?:still |currently |now |probably )?(?:free|available|unregistered|unassigned|unallocated|unknown|vacant|inexistent|non ?existent|unused)(?:$| ,| (?:for|to) (?:the )?(?:registration|register|purchase|registering|application|be registered|order|sale|buy)\\b| ${DATABASE}| at (?:this|the) (?:time|moment)| now| yet| DOMAIN| \\d)`,
  ),
];

/** The same in other languages, without accents. */
const ABSENCES_BY_LANGUAGE = [
  // Spanish, Portuguese, Italian
  /^(?:(?:el|este|la|o|este|il|nombre|de|do|dominio|nome|objeto|oggetto|registro|DOMAIN) )*(?:no|nao|non) (?:(?:se|esta|ha|sido|foi|e|fue|encuentra|e stato) )*(?:encontr\w+|encuentra|existe|registra[dt]\w|registad\w|hay|trovat\w|esiste|asignad\w|atribuid\w)\b(?! (?:el registrador|servidor))/,
  /^(?:(?:el|este|o|il|nombre|de|nome|dominio|DOMAIN) )*(?:(?:esta|se encuentra|e) )?(?:disponible|disponibile|disponivel|libre|libero|livre|inexistente)(?: (?:para|per)(?: \S+){0,2}? (?:registr\w+|registo))?$/,
  /^(?:nessun\w?|ningun\w?|nenhum\w?) (?:oggetto|risultato|dominio|objeto|registro|resultado|dato)\w*(?: (?:trovato|encontrado))?$/,
  // French
  /^(?:(?:le|ce|nom|de|domaine|objet|DOMAIN) )*(?:n est pas (?:enregistre|attribue|reserve)|n existe pas|non (?:trouve|enregistre|attribue)|inconnu|introuvable)\b/,
  /^(?:(?:le|ce|nom|de|domaine|DOMAIN) )*(?:est )?(?:libre|disponible)(?: (?:a|pour) (?:l )?enregistrement)?$/,
  /^aucun\w* (?:objet|enregistrement|resultat|entree|domaine|donnee|correspondance)\w*(?: (?:n a ete )?(?:trouve\w*|correspond\w*)|$)/,
  // German, Dutch
  /^(?:(?:die|der|diese|dieser|domain|domainname|objekt|het|de|domein|domeinnaam|DOMAIN) )*(?:(?:ist|wurde|is) )?(?:nicht (?:registriert|vergeben|gefunden|vorhanden|bekannt|belegt)|niet (?:gevonden|geregistreerd))\b/,
  /^(?:(?:die|der|diese|domain|domainname|het|de|domein|domeinnaam|DOMAIN) )*(?:(?:ist|is) )?(?:frei|verfugbar|vrij|beschikbaar|unbekannt)$/,
  /^(?:kein\w*|geen) (?:eintrag|eintrage|treffer|daten|objekte?|ergebnis\w*|gegevens|domein|resultaten)(?: (?:gefunden|gevonden|vorhanden)|$)/,
  // Polish, Czech, Slovak, Croatian, Serbian, Slovenian
  /^(?:brak (?:danych|wynikow|domeny|obiektu)|(?:(?:domena|nazwa|objekt|zaznam|domensko|ime|DOMAIN) )*(?:nie (?:znaleziono|istnieje|jest zarejestrowana)|nenalezen\w?|neexistuje|neni registrovana|nije (?:registro\w+|registri\w+|prona\S+)|ni registrirana|ne obstaja|wolna|volna|volny|slobodn[ao]?|prosta))(?:$| )/,
  // Swedish, Norwegian, Danish, Finnish, Hungarian, Romanian, Turkish
  /^(?:(?:domanen|domain|domenet|domaenet|domaene|DOMAIN) )*(?:(?:ar|er) )?(?:(?:hittades|finns|inte|ikke|ej) )+(?:registrerad|registrert|registreret|fundet|funnet|hittades)?$|^(?:(?:domanen|domenet|DOMAIN) )*(?:(?:ar|er) )?ledig\w?$/,
  /^(?:(?:verkkotunnus\w*|DOMAIN) )*(?:ei (?:loydy|loytynyt|rekisteroity|ole rekisteroity)|vapaa)|^nincs (?:talalat|regisztralva|ilyen domain)|^(?:(?:domeniul|DOMAIN) )*nu (?:este inregistrat|exista)|^(?:(?:alan adi|DOMAIN) )*(?:kayitli degil|bulunamadi|musait)/,
  // Russian, Ukrainian
  /^(?:(?:домен\S*|имя|имени|доменное|запись|записи|объект|ім я|DOMAIN) )*(?:не (?:найден|зарегистрирован|существует|занят|знайдено|зареєстрован|існує)|свобод|вільн)/,
  // Chinese, Japanese, Korean
  /(?:未(?:被)?(?:注册|註冊|找到)|没有(?:找到|匹配)|查無|查无|無此|无此|域名不存在)|(?:見つかりません|該当する.{0,12}ありません|登録されていません)|(?:등록되(?:어 있)?지 않|검색 ?결과가 없)/,
];

/** Words that speak of names nobody may have, which is not the same as names that nobody has, and of conditions. */
const OTHERWISE =
  /\b(?:reserved|blocked|prohibited|restricted|cannot be registered|can not be registered|unavailable|not available|not free|or not|if|whether|when|may|unless|indicat\w+|does not mean|premium)\b/;

/** What servers write before a statement: `%ERROR:103:`, `Message:`, `Status:`. */
const ANNOUNCEMENT =
  /^(?:(?:err|error|errors|warning|message|msg|notice|info|result|response|reply|status|query status|code|sorry|domain status|IP|,) |\d{1,11} )+/;

/** Whether a sentence states that nobody has the domain. */
export function statesAbsence(sentences: Sentence[]): boolean {
  return sentences.some(({ words }) => isAbsence(words.replace(ANNOUNCEMENT, '')));
}

function isAbsence(words: string): boolean {
  if (OTHERWISE.test(words)) return false;
  return [...ABSENCES, ...ABSENCES_BY_LANGUAGE].some(pattern => pattern.test(words));
}

/** Statuses in lower case that mean that nobody has the domain. */
const FREE_STATUSES = new Set([
  'free',
  'available',
  'available for registration',
  'avail',
  'not registered',
  'unregistered',
  'not assigned',
  'unassigned',
  'not allocated',
  'unallocated',
  'no object found',
  'object not found',
  'not found',
  'no match',
  'no data found',
  'no entries found',
  'does not exist',
  'not exist',
  'non existent',
  'nonexistent',
  'inexistent',
  'vacant',
  'unused',
  'not in use',
  'not taken',
  'still available',
  'invalid or not registered',
  'libre',
  'disponible',
  'disponivel',
  'disponibile',
  'livre',
  'libero',
  'frei',
  'vrij',
  'ledig',
  'wolna',
  'wolny',
  'volna',
  'volny',
  'slobodan',
  'slobodno',
  'szabad',
  'vapaa',
  'liber',
  'no registrado',
  'nao registrado',
  'inexistente',
  'свободен',
  'вільний',
  '未注册',
]);

/** Whether a field answers yes or no to whether the domain is free: `Available: yes`, `Registered: no`. */
export function isFreeFlag({ key, value }: { key: string; value: string }): boolean {
  const isYes = /^(yes|true|1)$/i.test(value);
  const isNo = /^(no|false|0)$/i.test(value);
  return (isYes && /^(is )?(available|free)$/.test(key)) || (isNo && /^(is )?(registered|taken)$/.test(key));
}

/** Whether a status, without its number and the brackets behind it, means that nobody has the domain. */
export function isFreeStatus(value: string): boolean {
  const words = plain(value.toLowerCase())
    .replace(/(\S\s*)[([].*$/, '$1')
    .replace(/^\s*\d{3}\b/, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
  return FREE_STATUSES.has(words);
}
