// Starts the phone.
import { createApp } from 'vue'
import App from './App.vue'
import './phone.css'
import { run } from './running'

createApp(App).mount('#app')
run()
