import { defineConfig } from 'vite'

const pages = ['assistant-ui', 'chatscope', 'deep-chat', 'streamdown']

export default defineConfig({
  base: '/peers/',
  build: { rollupOptions: { input: Object.fromEntries(pages.map((name) => [name, `${name}.html`])) } },
})
