// The simulator's phone, served by the simulator at /phone/.
import { application } from '../vite.shared.ts'

export default application('phone', ['/phone/api', '/phone/media', '/cgi-bin'])
