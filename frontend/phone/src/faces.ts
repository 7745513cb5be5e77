// WeChat's faces as senders write them, by the emoji that come nearest. Codes that are not here stay as written.
const FACES: Record<string, string> = {
  '/::)': '🙂', '/::~': '😕', '/::B': '😍', '/::|': '😳', '/:8-)': '😎', '/::<': '😢', '/::$': '☺️', '/::X': '🤐',
  '/::Z': '😴', "/::'(": '😭', '/::-|': '😅', '/::@': '😡', '/::P': '😜', '/::D': '😁', '/::O': '😮', '/::(': '🙁',
  '/:--b': '😰', '/::Q': '😫', '/::T': '🤮', '/:,@P': '🤭', '/:,@-D': '😊', '/::d': '🙄', '/:|-)': '😪', '/::!': '😱',
  '/::L': '😓', '/::>': '😄', '/:rose': '🌹', '/:heart': '❤️', '/:gift': '🎁', '/:ok': '👌', '/:strong': '👍',
  '/:weak': '👎', '/:share': '🤝', '/:v': '✌️', '/:@)': '🙏', '/:hug': '🤗', '/:cake': '🎂', '/:beer': '🍺',
  '/:coffee': '☕', '/:sun': '☀️', '/:moon': '🌙', '/:bye': '👋', '/:handclap': '👏',
}

const literal = (code: string) => code.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
// The longest first, so that none is taken for the beginning of another.
const CODE = new RegExp(
  Object.keys(FACES)
    .sort((a, b) => b.length - a.length)
    .map(literal)
    .join('|'),
  'g',
)

/** The text with its faces shown. */
export const withFaces = (text: string) => text.replace(CODE, (code) => FACES[code] ?? code)
