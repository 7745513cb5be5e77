// The staff's console, served by our server at /console/.
import { application } from '../vite.shared.ts'
import { pages } from './pages.plugin.ts'

export default application('console', ['/api/console'], {
  plugins: [pages()],
  dev: 'http://127.0.0.1:8300',
})
