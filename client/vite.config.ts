import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const server = process.env.BACKTALK_DEV_SERVER ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: '../server/web',
    emptyOutDir: true,
    // The pages are served under `default-src 'none'`: nothing may be inlined as a data: address or a script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: {
    proxy: {
      '/api': { target: server },
      '/ws': { target: server, ws: true },
    },
  },
  test: {
    environment: 'happy-dom',
    setupFiles: ['src/testing.ts'],
    restoreMocks: true,
  },
})
