/* The decode step's small operations for a CPU, one thread. Optional: llama.py does the same with torch.

   Compiled once per machine by native.py, with -DBF16 for bfloat16. Arithmetic is float32 throughout. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef BF16
typedef uint16_t element;
static inline float load(element x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline element store(float x) { /* to nearest, ties to even; NaN stays NaN */
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return (element)(bits >> 16) | 0x40;
    return (element)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#else
typedef float element;
static inline float load(element x) { return x; }
static inline element store(float x) { return x; }
#endif

/* exp with a relative error below 2e-7, without branches so that loops over it become vector code:
   2^n from the exponent bits times a polynomial on [-ln2/2, ln2/2]. NaN stays NaN. */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return p * power;
}

/* One token's head turned by its angle (see rope.py); sine holds the sign of the first half. */
static void turn(const element *x, const element *cosine, const element *sine, int64_t size, float scale, float *out) {
    int64_t half = size / 2;
    if (!cosine) {
        for (int64_t d = 0; d < size; d++) out[d] = load(x[d]) * scale;
        return;
    }
    for (int64_t d = 0; d < half; d++) {
        out[d] = (load(x[d]) * load(cosine[d]) + load(x[d + half]) * load(sine[d])) * scale;
        out[d + half] = (load(x[d + half]) * load(cosine[d + half]) + load(x[d]) * load(sine[d + half])) * scale;
    }
}

/* `count` tokens, each against the pages of its own text, one after the other: turn query and key, write key and value
   into the cache, attend. A token may look at what one before it in the same call has written.

   query [count, heads, size], key and value [count, kv_heads, size], with a stride between tokens each;
   cosine, sine [count, size], or null if query and key are turned already;
   keys, values [kv head, place, size], head_stride between heads; page p is places 16 p to 16 p + 15;
   tables [count, table_stride]: the pages of each token's text; lengths [count]: how many keys it sees, itself included
   (it is written at the last of them); scratch: (heads / kv_heads) * (size * 2 + longest) floats;
   out [count, heads, size]. window 0 = none; cap 0 = none, else a score becomes cap * tanh(score / cap). */
#define PAGE 16
void attend(int64_t count, int64_t heads, int64_t kv_heads, int64_t size, const element *query, int64_t query_stride,
            const element *key, int64_t key_stride, const element *value, int64_t value_stride, const element *cosine,
            const element *sine, element *keys, element *values, int64_t head_stride, const int64_t *tables,
            int64_t table_stride, const int64_t *lengths, int64_t window, float scale, float cap, int64_t longest,
            float *scratch, element *out) {
    int64_t group = heads / kv_heads;
    float *turned = scratch, *sum = turned + group * size, *weights = sum + group * size;
    for (int64_t i = 0; i < count; i++) {
        const element *c = cosine ? cosine + i * size : 0, *s = sine ? sine + i * size : 0;
        const int64_t *table = tables + i * table_stride;
        int64_t end = lengths[i], start = window && end > window ? end - window : 0;
        int64_t own = (table[(end - 1) / PAGE] * PAGE + (end - 1) % PAGE) * size;
        for (int64_t h = 0; h < kv_heads; h++) {
            element *head_keys = keys + h * head_stride, *head_values = values + h * head_stride;
            turn(key + i * key_stride + h * size, c, s, size, 1.0f, sum);
            for (int64_t d = 0; d < size; d++) head_keys[own + d] = store(sum[d]);
            memcpy(head_values + own, value + i * value_stride + h * size, size * sizeof(element));
            for (int64_t g = 0; g < group; g++) {
                float *q = turned + g * size, *w = weights + g * longest, *o = sum + g * size;
                turn(query + i * query_stride + (h * group + g) * size, c, s, size, scale, q);
                for (int64_t p = start; p < end;) {
                    int64_t stop = (p / PAGE + 1) * PAGE < end ? (p / PAGE + 1) * PAGE : end;
                    const element *k = head_keys + (table[p / PAGE] * PAGE + p % PAGE) * size;
                    for (; p < stop; p++, k += size) {
                        float dot = 0;
#pragma omp simd reduction(+ : dot)
                        for (int64_t d = 0; d < size; d++) dot += q[d] * load(k[d]);
                        w[p] = dot;
                    }
                }
                for (int64_t p = start; cap != 0 && p < end; p++) w[p] = cap * tanhf(w[p] / cap);
                float top = w[start], total = 0;
#pragma omp simd reduction(max : top)
                for (int64_t p = start; p < end; p++) top = w[p] > top ? w[p] : top;
#pragma omp simd reduction(+ : total)
                for (int64_t p = start; p < end; p++) {
                    w[p] = exponential(w[p] - top);
                    total += w[p];
                }
                memset(o, 0, size * sizeof(float));
                for (int64_t p = start; p < end;) {
                    int64_t stop = (p / PAGE + 1) * PAGE < end ? (p / PAGE + 1) * PAGE : end;
                    const element *v = head_values + (table[p / PAGE] * PAGE + p % PAGE) * size;
                    for (; p < stop; p++, v += size) {
#pragma omp simd
                        for (int64_t d = 0; d < size; d++) o[d] += w[p] * load(v[d]);
                    }
                }
                element *target = out + (i * heads + h * group + g) * size;
                for (int64_t d = 0; d < size; d++) target[d] = store(o[d] / total);
            }
        }
    }
}

/* RMSNorm (arXiv 1910.07467) of each row: x [count, size] -> out [count, size]. */
void norm(int64_t count, int64_t size, const element *x, const element *weight, float epsilon, element *out) {
    for (int64_t i = 0; i < count; i++, x += size, out += size) {
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (int64_t d = 0; d < size; d++) squares += load(x[d]) * load(x[d]);
        float factor = 1.0f / sqrtf(squares / size + epsilon);
#pragma omp simd
        for (int64_t d = 0; d < size; d++) out[d] = store(load(x[d]) * factor * load(weight[d]));
    }
}

/* SwiGLU (arXiv 2002.05202): gate_up [count, 2 size] -> silu(gate) * up [count, size]. */
void swiglu(int64_t count, int64_t size, const element *gate_up, element *out) {
    for (int64_t i = 0; i < count; i++, gate_up += 2 * size, out += size) {
#pragma omp simd
        for (int64_t d = 0; d < size; d++) {
            float gate = load(gate_up[d]);
            out[d] = store(gate / (1.0f + exponential(-gate)) * load(gate_up[size + d]));
        }
    }
}
