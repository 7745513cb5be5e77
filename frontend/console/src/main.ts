// Starts the console.
import 'element-plus/dist/index.css'
import 'dayjs/locale/zh-cn'
import { createApp } from 'vue'
import App from './App.vue'
import './console.css'
import { router } from './router'

createApp(App).use(router).mount('#app')
