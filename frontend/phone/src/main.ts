// Starts the phone.
import { createApp } from 'vue'
import App from './App.vue'
import './phone.css'
import { start } from './store'

createApp(App).mount('#app')
void start()
