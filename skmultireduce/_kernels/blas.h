/* SciPy's BLAS, found when a module is loaded. SciPy is then not needed to compile, which took
   pip 10 of 46 s. */
#ifndef SKM_BLAS_H
#define SKM_BLAS_H

#include <Python.h>
#include <string.h>

typedef void (*skm_sgemm_t)(
    char *, char *, int *, int *, int *, float *, float *, int *, float *, int *, float *,
    float *, int *);
typedef void (*skm_dgemm_t)(
    char *, char *, int *, int *, int *, double *, double *, int *, double *, int *, double *,
    double *, int *);

static skm_sgemm_t skm_sgemm = NULL;
static skm_dgemm_t skm_dgemm = NULL;

/* A function of the dict by name, whose signature begins as expected; NULL: an error is set. */
static void *skm_blas_function(PyObject *functions, const char *name)
{
    const char *expected = "void (char *, char *, int *, int *, int *, ", *signature;
    PyObject *capsule = PyMapping_GetItemString(functions, name);
    void *found = NULL;
    if (!capsule)
        return NULL;
    signature = PyCapsule_GetName(capsule);
    if (signature && strncmp(signature, expected, strlen(expected)) == 0)
        found = PyCapsule_GetPointer(capsule, signature);
    else if (!PyErr_Occurred())
        PyErr_Format(PyExc_ImportError, "scipy.linalg.cython_blas.%s has another signature", name);
    /* SciPy's module keeps it. */
    Py_DECREF(capsule);
    return found;
}

/* -1 if an error is set. */
static int skm_load_blas(void)
{
    PyObject *module = PyImport_ImportModule("scipy.linalg.cython_blas");
    PyObject *functions = module ? PyObject_GetAttrString(module, "__pyx_capi__") : NULL;
    if (functions) {
        skm_sgemm = (skm_sgemm_t)skm_blas_function(functions, "sgemm");
        if (skm_sgemm)
            skm_dgemm = (skm_dgemm_t)skm_blas_function(functions, "dgemm");
    }
    Py_XDECREF(functions);
    Py_XDECREF(module);
    return skm_dgemm ? 0 : -1;
}

#endif
